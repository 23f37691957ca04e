"""Contract suites: the tests that every plugin of a kind must pass.

Subclass a suite in your own tests and say how to make your plugin; pytest collects the rest. They need pytest and
pytest-trio.

    from mephisto_es.contracts import PageServerContract

    class TestMyArchitect(PageServerContract):
        def make(self, folder: Path, resources: Resources) -> Architect:
            return MyArchitect(ArchitectContext(config, SharedTaskState(), TaskRunId(1), folder, resources))
"""

from .adapters.architects.contract import ArchitectContract, Deployment, PageServerContract, ResourceBook
from .adapters.providers.contract import CrowdProviderContract, CrowdSiteContract, ProviderStage

__all__ = [
    "ArchitectContract",
    "CrowdProviderContract",
    "CrowdSiteContract",
    "Deployment",
    "PageServerContract",
    "ProviderStage",
    "ResourceBook",
]
