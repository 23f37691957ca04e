"""Crowdsourced data collection on an event log.

The public names: launch scripts, plugins and notebooks import them from here, and from nowhere deeper. (Contract
suites for plugins, which need pytest, are in `mephisto_es.contracts`.) Each name is imported when it is first used,
so a program that needs one of them loads no more than that one needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .adapters.architects.heroku import HerokuArchitect
    from .adapters.architects.local import (
        LocalArchitect,
        LocalArchitectArgs,
    )
    from .adapters.architects.mock import (
        MockArchitect,
        MockArchitectArgs,
    )
    from .adapters.architects.mock_server import MockServer
    from .adapters.architects.remote import (
        RemoteArchitect,
        RemoteArchitectArgs,
    )
    from .adapters.blueprints.build_bundle import build_custom_bundle
    from .adapters.blueprints.mock import (
        MockBlueprint,
        MockBlueprintArgs,
        MockSharedState,
    )
    from .adapters.blueprints.paired_chat import PairedChatBlueprint, PairedChatTaskRunner
    from .adapters.blueprints.remote_procedure import (
        RemoteProcedureAgentState,
        RemoteProcedureBlueprint,
        RemoteProcedureTaskRunner,
        SharedRemoteProcedureTaskState,
    )
    from .adapters.blueprints.static_task import (
        SharedStaticTaskState,
        StaticReactBlueprint,
        StaticReactBlueprintArgs,
        StaticTaskBlueprint,
        StaticTaskBlueprintArgs,
    )
    from .adapters.blueprints.worlds.parlai_chat import (
        ParlAIChatBlueprint,
        ParlAIChatBlueprintArgs,
        SharedParlAITaskState,
    )
    from .adapters.blueprints.worlds.world_agents import (
        MephistoAgentWrapper,
    )
    from .adapters.blueprints.worlds.world_runner import (
        ParlAIChatTaskRunner,
    )
    from .adapters.channels.websocket import WebsocketChannel
    from .adapters.composition.ledger import open_ledger
    from .adapters.composition.operator import (
        load_db_and_process_config,
        open_operator,
        process_config_and_get_operator,
        task_script,
    )
    from .adapters.crowd.bot import Bot, BotFile, draw_bots
    from .adapters.crowd.crowd import Crowd
    from .adapters.crowd.summary import CrowdSummary
    from .adapters.exports.frame import to_pandas
    from .adapters.exports.polars_frame import to_polars
    from .adapters.facade.examine import (
        format_worker_stats,
        get_worker_stats,
        print_results,
        run_examine_by_worker,
        run_examine_or_review,
    )
    from .adapters.facade.local_db import (
        LocalMephistoDB,
        connect,
    )
    from .adapters.facade.plain_operator import (
        PlainOperator,
    )
    from .adapters.models.chat_model import (
        ChatModel,
    )
    from .adapters.providers.mock import (
        MockProvider,
        MockProviderArgs,
    )
    from .core.abstractions.agent import Agent, Assignment, OnboardingAgent, Unit
    from .core.abstractions.architect import Architect, ArchitectContext
    from .core.abstractions.args import ArchitectArgs, BlueprintArgs, CrowdProviderArgs, RequesterArgs
    from .core.abstractions.blueprint import Blueprint, PlannedUnits
    from .core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
    from .core.abstractions.crowd.effects import SendResult, SiteEffect
    from .core.abstractions.crowd.payments import (
        PaymentEffect,
        PaymentOrder,
        PaymentProvider,
        PaymentRefusedError,
        PaymentSite,
    )
    from .core.abstractions.crowd.site_work import SiteAccount, SiteWork, WorkAction, WorkOrder
    from .core.abstractions.crowd_provider import CrowdProvider
    from .core.abstractions.mixins import OnboardingRequired, OnboardingRequiredArgs
    from .core.abstractions.qualifications import (
        QUAL_EQUAL,
        QUAL_EXISTS,
        QUAL_GREATER,
        QUAL_GREATER_EQUAL,
        QUAL_IN_LIST,
        QUAL_LESS,
        QUAL_LESS_EQUAL,
        QUAL_NOT_EQUAL,
        QUAL_NOT_EXIST,
        QUAL_NOT_IN_LIST,
        QualificationDict,
        QualificationRule,
        make_qualification_dict,
        qualification_rule,
        worker_is_qualified,
    )
    from .core.abstractions.resources import Resources
    from .core.abstractions.screen_task_required import (
        ScreenTaskRequired,
        ScreenTaskRequiredArgs,
        ScreenTaskSharedState,
    )
    from .core.abstractions.shared_task_state import OnboardingSharedState, SharedTaskState
    from .core.abstractions.task_runner import LiveTaskRunner, TaskRunner
    from .core.abstractions.use_gold_unit import (
        GoldUnitSharedState,
        GoldWorker,
        UseGoldUnit,
        UseGoldUnitArgs,
        get_gold_factory,
    )
    from .core.abstractions.work.handles import AssignedAgent, Worker
    from .core.abstractions.work.models import (
        ModelAnswer,
        ModelQuestion,
    )
    from .core.abstractions.work_data import AgentState, InitializationData
    from .core.decisions.settlement import Absence, AtMostOnce, ByHand, ByLooking, BySendingAgain, ByToken, Impossible
    from .core.errors import (
        AgentDisconnectedError,
        AgentLeftError,
        AgentReturnedError,
        AgentShutdownError,
        AgentTimeoutError,
        AmbiguousReferenceError,
        CommandIdReusedError,
        CommandRefusedError,
        ConfigError,
        DamagedLogError,
        IllegalStepError,
        LaunchError,
        LogError,
        MephistoError,
        ModelReplyError,
        OutcomeUnknownError,
        ProtocolError,
        RunExistsError,
        StaleCommandError,
        TaskCodeDivergedError,
        TooManyUpdatesError,
        UnknownEntityError,
        UnknownEventError,
        UnusableLogError,
        UploadGoneError,
        UserCodeError,
        VersionConflictError,
        WriterFencedError,
    )
    from .core.lifecycles.agent import AgentStatus
    from .core.lifecycles.onboarding import OnboardingStatus
    from .core.lifecycles.task_run import TaskRunStatus
    from .core.lifecycles.unit import UnitStatus
    from .core.operations.client_io_handler import ClientIOHandler
    from .core.operations.config_handler import add_config_arg, get_config, get_config_arg, init_config, write_config
    from .core.operations.hydra_config import (
        MephistoConfig,
        TaskConfig,
        TaskRunArgs,
        build_default_task_config,
        register_script_config,
    )
    from .core.operations.logger_core import (
        LogFormat,
        get_logger,
        set_mephisto_log_format,
        set_mephisto_log_level,
        warn_once,
    )
    from .core.operations.operator import Operator
    from .core.operations.registry import (
        fill_registries,
        get_architect_from_type,
        get_blueprint_from_type,
        get_crowd_provider_from_type,
        get_valid_architect_types,
        get_valid_blueprint_types,
        get_valid_provider_types,
        register_mephisto_abstraction,
    )
    from .core.operations.run.live_task_run import LiveTaskRun
    from .core.operations.services.directory import Directory
    from .core.operations.services.paymaster import Paymaster
    from .core.operations.services.reviewer import Reviewer
    from .core.operations.task_code.plain_agents import (
        PlainAgent,
    )
    from .core.operations.task_launcher import TaskLauncher
    from .core.operations.worker_pool import WorkerPool
    from .events.engagement import SiteWorkStatus
    from .events.ids import (
        COMPENSATION_UNIT_INDEX,
        GOLD_UNIT_INDEX,
        SCREENING_UNIT_INDEX,
        AgentId,
        AssignmentId,
        OnboardingAgentId,
        TaskRunId,
        UnitId,
        WorkerId,
    )
    from .events.payment import Answer, Sighting
    from .projections.mephisto_db import MephistoDB
    from .projections.mephisto_db.data_model import (
        AgentView,
        AssignmentView,
        OnboardingAgentView,
        ProjectView,
        RequesterView,
        TaskRunView,
        TaskView,
        UnitView,
        WorkerView,
    )
    from .projections.queries.data_browser import DataBrowser, UnitData
    from .projections.queries.unit_records import UnitRecord

#: The modules that define the public names.
_NAMES_BY_MODULE = {
    "core.abstractions.work.models": (
        "ModelAnswer",
        "ModelQuestion",
    ),
    "adapters.models.chat_model": ("ChatModel",),
    "core.operations.task_code.plain_agents": ("PlainAgent",),
    "adapters.blueprints.worlds.world_agents": ("MephistoAgentWrapper",),
    "adapters.blueprints.worlds.world_runner": ("ParlAIChatTaskRunner",),
    "adapters.blueprints.worlds.parlai_chat": (
        "ParlAIChatBlueprint",
        "ParlAIChatBlueprintArgs",
        "SharedParlAITaskState",
    ),
    "adapters.facade.examine": (
        "format_worker_stats",
        "get_worker_stats",
        "print_results",
        "run_examine_by_worker",
        "run_examine_or_review",
    ),
    "adapters.facade.plain_operator": ("PlainOperator",),
    "adapters.facade.local_db": (
        "LocalMephistoDB",
        "connect",
    ),
    "adapters.architects.heroku": ("HerokuArchitect",),
    "adapters.architects.local": (
        "LocalArchitect",
        "LocalArchitectArgs",
    ),
    "adapters.architects.mock": (
        "MockArchitect",
        "MockArchitectArgs",
    ),
    "adapters.architects.mock_server": ("MockServer",),
    "adapters.architects.remote": (
        "RemoteArchitect",
        "RemoteArchitectArgs",
    ),
    "adapters.blueprints.build_bundle": ("build_custom_bundle",),
    "adapters.blueprints.mock": (
        "MockBlueprint",
        "MockBlueprintArgs",
        "MockSharedState",
    ),
    "adapters.blueprints.paired_chat": ("PairedChatBlueprint", "PairedChatTaskRunner"),
    "adapters.blueprints.remote_procedure": (
        "RemoteProcedureAgentState",
        "RemoteProcedureBlueprint",
        "RemoteProcedureTaskRunner",
        "SharedRemoteProcedureTaskState",
    ),
    "adapters.blueprints.static_task": (
        "SharedStaticTaskState",
        "StaticReactBlueprint",
        "StaticReactBlueprintArgs",
        "StaticTaskBlueprint",
        "StaticTaskBlueprintArgs",
    ),
    "adapters.channels.websocket": ("WebsocketChannel",),
    "adapters.composition.ledger": ("open_ledger",),
    "adapters.composition.operator": (
        "load_db_and_process_config",
        "open_operator",
        "process_config_and_get_operator",
        "task_script",
    ),
    "adapters.crowd.bot": ("Bot", "BotFile", "draw_bots"),
    "adapters.crowd.crowd": ("Crowd",),
    "adapters.crowd.summary": ("CrowdSummary",),
    "adapters.exports.frame": ("to_pandas",),
    "adapters.exports.polars_frame": ("to_polars",),
    "adapters.providers.mock": (
        "MockProvider",
        "MockProviderArgs",
    ),
    "core.abstractions.agent": ("Agent", "Assignment", "OnboardingAgent", "Unit"),
    "core.abstractions.architect": ("Architect", "ArchitectContext"),
    "core.abstractions.args": ("ArchitectArgs", "BlueprintArgs", "CrowdProviderArgs", "RequesterArgs"),
    "core.abstractions.blueprint": ("Blueprint", "PlannedUnits"),
    "core.abstractions.channel": ("Channel", "OnCatastrophicDisconnect", "OnChannelOpen", "OnMessage"),
    "core.abstractions.crowd_provider": ("CrowdProvider",),
    "events.payment": ("Answer", "Sighting"),
    "events.engagement": ("SiteWorkStatus",),
    "core.decisions.settlement": (
        "Absence",
        "AtMostOnce",
        "ByHand",
        "ByLooking",
        "BySendingAgain",
        "ByToken",
        "Impossible",
    ),
    "core.abstractions.crowd.site_work": ("SiteAccount", "SiteWork", "WorkAction", "WorkOrder"),
    "core.abstractions.crowd.effects": ("SendResult", "SiteEffect"),
    "core.abstractions.mixins": ("OnboardingRequired", "OnboardingRequiredArgs"),
    "core.abstractions.qualifications": (
        "QUAL_EQUAL",
        "QUAL_EXISTS",
        "QUAL_GREATER",
        "QUAL_GREATER_EQUAL",
        "QUAL_IN_LIST",
        "QUAL_LESS",
        "QUAL_LESS_EQUAL",
        "QUAL_NOT_EQUAL",
        "QUAL_NOT_EXIST",
        "QUAL_NOT_IN_LIST",
        "QualificationDict",
        "QualificationRule",
        "make_qualification_dict",
        "qualification_rule",
        "worker_is_qualified",
    ),
    "core.abstractions.resources": ("Resources",),
    "core.abstractions.screen_task_required": ("ScreenTaskRequired", "ScreenTaskRequiredArgs", "ScreenTaskSharedState"),
    "core.abstractions.shared_task_state": ("OnboardingSharedState", "SharedTaskState"),
    "core.abstractions.task_runner": ("LiveTaskRunner", "TaskRunner"),
    "core.abstractions.use_gold_unit": (
        "GoldUnitSharedState",
        "GoldWorker",
        "UseGoldUnit",
        "UseGoldUnitArgs",
        "get_gold_factory",
    ),
    "core.abstractions.work.handles": ("AssignedAgent", "Worker"),
    "core.abstractions.work_data": ("AgentState", "InitializationData"),
    "core.errors": (
        "AgentDisconnectedError",
        "AgentLeftError",
        "AgentReturnedError",
        "AgentShutdownError",
        "AgentTimeoutError",
        "AmbiguousReferenceError",
        "CommandIdReusedError",
        "CommandRefusedError",
        "ConfigError",
        "DamagedLogError",
        "IllegalStepError",
        "LaunchError",
        "LogError",
        "MephistoError",
        "ModelReplyError",
        "OutcomeUnknownError",
        "ProtocolError",
        "RunExistsError",
        "StaleCommandError",
        "TaskCodeDivergedError",
        "TooManyUpdatesError",
        "UnknownEntityError",
        "UnknownEventError",
        "UnusableLogError",
        "UploadGoneError",
        "UserCodeError",
        "VersionConflictError",
        "WriterFencedError",
    ),
    "core.lifecycles.agent": ("AgentStatus",),
    "core.lifecycles.onboarding": ("OnboardingStatus",),
    "core.lifecycles.task_run": ("TaskRunStatus",),
    "core.lifecycles.unit": ("UnitStatus",),
    "core.operations.client_io_handler": ("ClientIOHandler",),
    "core.operations.config_handler": ("add_config_arg", "get_config", "get_config_arg", "init_config", "write_config"),
    "core.operations.hydra_config": (
        "MephistoConfig",
        "TaskConfig",
        "TaskRunArgs",
        "build_default_task_config",
        "register_script_config",
    ),
    "core.operations.logger_core": (
        "LogFormat",
        "get_logger",
        "set_mephisto_log_format",
        "set_mephisto_log_level",
        "warn_once",
    ),
    "core.operations.operator": ("Operator",),
    "core.operations.registry": (
        "fill_registries",
        "get_architect_from_type",
        "get_blueprint_from_type",
        "get_crowd_provider_from_type",
        "get_valid_architect_types",
        "get_valid_blueprint_types",
        "get_valid_provider_types",
        "register_mephisto_abstraction",
    ),
    "core.operations.run.live_task_run": ("LiveTaskRun",),
    "core.operations.services.directory": ("Directory",),
    "core.abstractions.crowd.payments": (
        "PaymentEffect",
        "PaymentOrder",
        "PaymentProvider",
        "PaymentRefusedError",
        "PaymentSite",
    ),
    "core.operations.services.paymaster": ("Paymaster",),
    "core.operations.services.reviewer": ("Reviewer",),
    "core.operations.task_launcher": ("TaskLauncher",),
    "core.operations.worker_pool": ("WorkerPool",),
    "events.ids": (
        "AgentId",
        "AssignmentId",
        "COMPENSATION_UNIT_INDEX",
        "GOLD_UNIT_INDEX",
        "OnboardingAgentId",
        "SCREENING_UNIT_INDEX",
        "TaskRunId",
        "UnitId",
        "WorkerId",
    ),
    "projections.mephisto_db": ("MephistoDB",),
    "projections.mephisto_db.data_model": (
        "AgentView",
        "AssignmentView",
        "OnboardingAgentView",
        "ProjectView",
        "RequesterView",
        "TaskRunView",
        "TaskView",
        "UnitView",
        "WorkerView",
    ),
    "projections.queries.data_browser": ("DataBrowser", "UnitData"),
    "projections.queries.unit_records": ("UnitRecord",),
}
#: All public names, for programs that look them up.
PUBLIC_NAMES = frozenset(name for names in _NAMES_BY_MODULE.values() for name in names)
#: Names of Mephisto that do not exist here, with what to write instead.
FORMER_NAMES = {
    "BlueprintMixin": "Blueprint: a mixin of your own extends it",
    "ConsoleWriter": "get_logger(__name__), whose methods are debug, info, warning and error",
    "EntryDoesNotExistException": "UnknownEntityError",
    "MephistoDBException": "LogError",
    "Packet": "agent.observe({...}) and agent.get_live_update(), which take and give plain dicts",
    "PACKET_TYPE_AGENT_ACTION": "agent.observe({...}), which takes a plain dict",
    "PACKET_TYPE_UPDATE_AGENT_STATUS": "nothing: statuses follow from events, and pages are told of them",
    "RunScriptConfig": "TaskConfig, or build_default_task_config(NAME) to start from conf/NAME.yaml",
    "StaticHTMLBlueprint": "StaticTaskBlueprint, with an HTML file as task_source",
    "StaticHTMLBlueprintArgs": "StaticTaskBlueprintArgs",
    "StaticReactTaskBuilder": "build_custom_bundle",
    "TaskBuilder": "Blueprint.build_page, or build_custom_bundle for a page that npm builds",
    "building_react_apps": "build_custom_bundle(task_dir, ...) for each webapp",
    "create_extrapolated_config": "a form in the settings of static_task",
    "get_root_dir": "pathlib.Path",
    "validate_and_run_config": "operator.launch_task_run(cfg.mephisto, shared_state)",
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}

__all__ = [
    "COMPENSATION_UNIT_INDEX",
    "GOLD_UNIT_INDEX",
    "QUAL_EQUAL",
    "QUAL_EXISTS",
    "QUAL_GREATER",
    "QUAL_GREATER_EQUAL",
    "QUAL_IN_LIST",
    "QUAL_LESS",
    "QUAL_LESS_EQUAL",
    "QUAL_NOT_EQUAL",
    "QUAL_NOT_EXIST",
    "QUAL_NOT_IN_LIST",
    "SCREENING_UNIT_INDEX",
    "Absence",
    "Agent",
    "AgentDisconnectedError",
    "AgentId",
    "AgentLeftError",
    "AgentReturnedError",
    "AgentShutdownError",
    "AgentState",
    "AgentStatus",
    "AgentTimeoutError",
    "AgentView",
    "AmbiguousReferenceError",
    "Answer",
    "Architect",
    "ArchitectArgs",
    "ArchitectContext",
    "AssignedAgent",
    "Assignment",
    "AssignmentId",
    "AssignmentView",
    "AtMostOnce",
    "Blueprint",
    "BlueprintArgs",
    "Bot",
    "BotFile",
    "ByHand",
    "ByLooking",
    "BySendingAgain",
    "ByToken",
    "Channel",
    "ChatModel",
    "ClientIOHandler",
    "CommandIdReusedError",
    "CommandRefusedError",
    "ConfigError",
    "Crowd",
    "CrowdProvider",
    "CrowdProviderArgs",
    "CrowdSummary",
    "DamagedLogError",
    "DataBrowser",
    "Directory",
    "GoldUnitSharedState",
    "GoldWorker",
    "HerokuArchitect",
    "IllegalStepError",
    "Impossible",
    "InitializationData",
    "LaunchError",
    "LiveTaskRun",
    "LiveTaskRunner",
    "LocalArchitect",
    "LocalArchitectArgs",
    "LocalMephistoDB",
    "LogError",
    "LogFormat",
    "MephistoAgentWrapper",
    "MephistoConfig",
    "MephistoDB",
    "MephistoError",
    "MockArchitect",
    "MockArchitectArgs",
    "MockBlueprint",
    "MockBlueprintArgs",
    "MockProvider",
    "MockProviderArgs",
    "MockServer",
    "MockSharedState",
    "ModelAnswer",
    "ModelQuestion",
    "ModelReplyError",
    "OnCatastrophicDisconnect",
    "OnChannelOpen",
    "OnMessage",
    "OnboardingAgent",
    "OnboardingAgentId",
    "OnboardingAgentView",
    "OnboardingRequired",
    "OnboardingRequiredArgs",
    "OnboardingSharedState",
    "OnboardingStatus",
    "Operator",
    "OutcomeUnknownError",
    "PairedChatBlueprint",
    "PairedChatTaskRunner",
    "ParlAIChatBlueprint",
    "ParlAIChatBlueprintArgs",
    "ParlAIChatTaskRunner",
    "Paymaster",
    "PaymentEffect",
    "PaymentOrder",
    "PaymentProvider",
    "PaymentRefusedError",
    "PaymentSite",
    "PlainAgent",
    "PlainOperator",
    "PlannedUnits",
    "ProjectView",
    "ProtocolError",
    "QualificationDict",
    "QualificationRule",
    "RemoteArchitect",
    "RemoteArchitectArgs",
    "RemoteProcedureAgentState",
    "RemoteProcedureBlueprint",
    "RemoteProcedureTaskRunner",
    "RequesterArgs",
    "RequesterView",
    "Resources",
    "Reviewer",
    "RunExistsError",
    "ScreenTaskRequired",
    "ScreenTaskRequiredArgs",
    "ScreenTaskSharedState",
    "SendResult",
    "SharedParlAITaskState",
    "SharedRemoteProcedureTaskState",
    "SharedStaticTaskState",
    "SharedTaskState",
    "Sighting",
    "SiteAccount",
    "SiteEffect",
    "SiteWork",
    "SiteWorkStatus",
    "StaleCommandError",
    "StaticReactBlueprint",
    "StaticReactBlueprintArgs",
    "StaticTaskBlueprint",
    "StaticTaskBlueprintArgs",
    "TaskCodeDivergedError",
    "TaskConfig",
    "TaskLauncher",
    "TaskRunArgs",
    "TaskRunId",
    "TaskRunStatus",
    "TaskRunView",
    "TaskRunner",
    "TaskView",
    "TooManyUpdatesError",
    "Unit",
    "UnitData",
    "UnitId",
    "UnitRecord",
    "UnitStatus",
    "UnitView",
    "UnknownEntityError",
    "UnknownEventError",
    "UnusableLogError",
    "UploadGoneError",
    "UseGoldUnit",
    "UseGoldUnitArgs",
    "UserCodeError",
    "VersionConflictError",
    "WebsocketChannel",
    "WorkAction",
    "WorkOrder",
    "Worker",
    "WorkerId",
    "WorkerPool",
    "WorkerView",
    "WriterFencedError",
    "add_config_arg",
    "build_custom_bundle",
    "build_default_task_config",
    "connect",
    "draw_bots",
    "fill_registries",
    "format_worker_stats",
    "get_architect_from_type",
    "get_blueprint_from_type",
    "get_config",
    "get_config_arg",
    "get_crowd_provider_from_type",
    "get_gold_factory",
    "get_logger",
    "get_valid_architect_types",
    "get_valid_blueprint_types",
    "get_valid_provider_types",
    "get_worker_stats",
    "init_config",
    "load_db_and_process_config",
    "make_qualification_dict",
    "open_ledger",
    "open_operator",
    "print_results",
    "process_config_and_get_operator",
    "qualification_rule",
    "register_mephisto_abstraction",
    "register_script_config",
    "run_examine_by_worker",
    "run_examine_or_review",
    "set_mephisto_log_format",
    "set_mephisto_log_level",
    "task_script",
    "to_pandas",
    "to_polars",
    "warn_once",
    "worker_is_qualified",
    "write_config",
]


if not TYPE_CHECKING:  # a type checker would take any name to be there

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used.

        Raises:
            ImportError: the name is one of Mephisto's that has no counterpart; the message says what to write. An
                `AttributeError` would be replaced by Python's own sentence in a `from ... import`.
            AttributeError: there is no such name.
        """
        if name in FORMER_NAMES:
            raise ImportError(f"{name!r} is a name of Mephisto. Here it is {FORMER_NAMES[name]}", name=__name__)
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """List the public names, imported or not."""
        return sorted({*globals(), *__all__})
