"""Every setting of the args of Mephisto 1.5.2, except those that choose a plugin."""

from __future__ import annotations

STEPS = {
    *("onboarding_qualification", "passed_qualification_name", "max_screening_units", "use_screening_task"),
    *("gold_qualification_base", "max_gold_units", "use_golds", "min_golds", "max_incorrect_golds"),
}
STATIC = STEPS | {
    *("block_qualification", "tips_location", "units_per_assignment", "task_source_review", "extra_source_dir"),
    *("data_json", "data_jsonl", "data_csv", "task_source"),
}
#: All of them, by the plugin that has them.
SETTINGS: dict[str, set[str]] = {
    "blueprint: static_task": STATIC | {"preview_source", "onboarding_source"},
    "blueprint: static_react_task": STATIC | {"link_task_source"},
    "blueprint: remote_procedure": STATIC - {"data_json", "data_jsonl", "data_csv"} | {"link_task_source"},
    "blueprint: parlai_chat": {
        *("block_qualification", "tips_location", "onboarding_qualification", "world_file", "preview_source"),
        *("task_description_file", "custom_source_bundle", "custom_source_dir", "task_source_review"),
        *("extra_source_dir", "context_csv", "context_jsonl", "num_conversations"),
    },
    "blueprint: mock": {
        *("block_qualification", "tips_location", "onboarding_qualification", "passed_qualification_name"),
        *("max_screening_units", "use_screening_task", "num_assignments", "use_onboarding", "timeout_time"),
        *("is_concurrent", "task_source_review"),
    },
    "architect: local": {"server_type", "server_source_path", "hostname", "port"},
    "architect: mock": {"server_type", "server_source_path", "should_run_server", "port"},
    "architect: heroku": {
        *("server_type", "server_source_path", "use_hobby", "heroku_team", "heroku_app_name", "heroku_config_args"),
    },
    "architect: ec2": {"instance_type", "subdomain", "profile_name"},
    "provider: mock": {"requester_name"},
    "provider: prolific": {
        *("requester_name", "prolific_external_study_url", "prolific_id_option", "prolific_workspace_name"),
        *("prolific_estimated_completion_time_in_minutes", "prolific_eligibility_requirements"),
        *("prolific_project_name", "prolific_allow_list_group_name", "prolific_block_list_group_name"),
    },
    "provider: inhouse": {"requester_name", "ui_base_url"},
    "task": {
        *("task_name", "task_title", "task_description", "task_reward", "task_tags", "task_lifetime_in_seconds"),
        *("assignment_duration_in_seconds", "no_submission_patience", "allowed_concurrent"),
        *("maximum_units_per_worker", "max_num_concurrent_units", "submission_timeout", "post_install_script"),
        *("force_rebuild", "resume_incomplete_run"),
    },
    "database": {"_database_type"},
    "": {"log_level", "datapath"},
}
