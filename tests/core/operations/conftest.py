"""Isolates tests that add to the registries and to Hydra's store, which belong to the process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from mephisto_es.core.operations import registry
from mephisto_es.core.operations.hydra_config import AbstractionType


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start with empty registries, as if no plugin had been loaded."""
    monkeypatch.setattr(registry, "_classes", {kind: {} for kind in AbstractionType})
    monkeypatch.setattr(registry, "_tried", set())
    monkeypatch.setattr(registry, "_failures", {})
    monkeypatch.setattr(registry, "ENTRY_POINT_GROUPS", {})
    repo = ConfigStore.instance().repo
    kept = repo.pop("mephisto", {})
    yield
    repo["mephisto"] = kept


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None
) -> Callable[[str, str, dict[str, list[str]]], None]:
    """Install a real package: a module, and the metadata that names its entry points by group."""
    monkeypatch.setattr(
        registry, "ENTRY_POINT_GROUPS", {kind: f"mephisto_es_test.{kind.value}s" for kind in AbstractionType}
    )

    def install_package(module: str, source: str, plugins: dict[str, list[str]]) -> None:
        site = tmp_path / f"site_{module}"
        metadata = site / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        groups = [f"[mephisto_es_test.{group}]\n" + "\n".join(lines) for group, lines in plugins.items()]
        (metadata / "entry_points.txt").write_text("\n".join(groups) + "\n")
        monkeypatch.syspath_prepend(site)

    return install_package
