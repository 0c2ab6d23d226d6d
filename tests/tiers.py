"""The three tiers of the tests: `make test` runs the fast ones, `make test-all` slow ones as well,
`make campaign` all.

The fast tier runs in process mostly, and touches each package and promise. The tables say what is
slow, and what is left to the campaign. The matrix of faults marks its own cases: the first one of
each fault is fast.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import pytest

FULL: Final = os.environ.get("CXROUTE_CAMPAIGN") == "full"
"""Whether everything is to be tried, and not the sample that `make test-all` has time for."""
FAST: Final = "not slow and not root"
"""The fast tier, as `make test` chooses it."""
REST: Final = "slow and not root"
"""The slow tier, as `make test-rest` chooses it."""
MARKED: Final = frozenset({"campaign/test_matrix.py"})
"""The files that mark their slow tests themselves."""
PARTS: Final = {
    # Large or measured.
    "features/explore/test_explore_effects.py::test_ten_thousand_rules_with_a_change_fit": 0,
    "cli/test_files.py::test_several_runs_that_write_one_file_leave_one_of_their_texts": 0,
    "cli/test_completion.py::test_zsh_reads_the_script_of_its_recipe": 0,
    "deploy/test_many_tenants.py::test_github_accepts_the_workflow": 0,
    "project/test_recorded.py": 0,
    "project/test_removed_features.py::test_the_core_passes_its_tests_without_a_feature": 0,
    "project/test_removed_features.py::test_the_core_passes_its_tests_without_any_feature": 0,
    "project/test_readme.py::test_the_picture_shows_the_output_of_the_program": 0,
    "core/behaviour/test_endpoint_stage.py::test_a_changed_endpoint_gives_exact_effects": 6,
    "core/behaviour/test_endpoint_stage.py::test_rules_behind_one_endpoint_give_exact_effects": 6,
    "core/plan/test_bank_shares.py::test_an_edit_of_the_bank_moves_a_known_share": 3,
    "targets/platform/test_rate_refusals.py::test_429s_from_other_clients_fail_no_rule": 2,
    "cli/test_unwritable_places.py::test_a_file_that_cannot_be_written_is_a_clear_error": 12,
    "cli/test_terminal.py::test_messages_fit_the_terminal": 6,
    "cli/test_show.py::test_show_prints_what_plan_printed": 12,
    "cli/test_sinks.py::test_a_secret_is_hidden_in": 30,
    "targets/studio/test_hostile_snippets.py::test_a_huge_text_is_read_or_refused_soon": 8,
    "targets/platform/test_aiohttp_trust.py::test_a_target_is_sent_exactly": 3,
    "core/manifest/test_other_tools.py::test_the_bank_is_the_same_to_other_loaders": 8,
    "features/forge/test_contract.py::test_unreadable_approvals_are_an_error": 12,
    "features/forge/test_contract.py::test_another_plan_is_refused": 12,
    "render/test_order_of_reports.py::test_no_condition_is_dropped": 16,
    "render/test_labels.py::test_a_hostile_label_is_only_text": 16,
    "targets/platform/test_rate_table.py::test_another_limit_costs_little_time": 8,
    # Real browsers and processes, servers under load, pages whose commands are all typed.
    "browser": 0,
    "features/endpoint/test_conversation.py": 0,
    "features/endpoint/test_document.py": 0,
    "features/endpoint/test_ending.py": 0,
    "features/endpoint/test_fuzz.py": 0,
    "features/endpoint/test_memory.py": 0,
    "features/endpoint/test_model.py": 0,
    "features/endpoint/test_proof.py": 0,
    "features/endpoint/test_shared.py": 0,
    "features/endpoint/test_siege.py": 0,
    "features/endpoint/test_trace.py::test_each_call_has_the_trace_of_its_event": 1,
    "features/endpoint/test_upgrade.py::test_a_jdk_posts_events": 0,
    "features/endpoint/test_upgrade.py::test_a_request_is_answered_as_without_it": 3,
    "features/endpoint/test_upgrade.py::test_connect_is_refused": 2,
    "features/endpoint/test_upgrade.py::test_data_directly_after_it_is_not_read": 4,
    "features/endpoint/test_upgrade.py::test_its_body_may_arrive_in_any_pieces": 3,
    "features/endpoint/test_work.py": 0,
    "crash": 0,
    "core/model/test_operators.py::test_an_operator_that_one_record_adds_works_in_every_command": 0,
    "targets/studio/test_end_to_end.py": 0,
    "docs": 0,
    "features/traffic/test_real_prometheus.py": 0,
    "deploy/test_monitoring.py": 0,
    "features/forge/azure/test_pipelines.py": 0,
    "features/forge/bitbucket/test_pipeline.py": 0,
    "features/forge/github/test_consent_workflow.py": 0,
    "features/forge/github/test_workflows.py": 0,
    "features/forge/github/test_table_workflow.py": 0,
    "features/forge/gitlab/test_pipeline.py": 0,
    "targets/platform/test_access_socket.py": 0,
    "cli/test_shard_processes.py": 0,
    "cli/test_socket.py": 0,
    "cli/test_completion.py::test_bash_offers_them": 1,
    "features/editor/test_lsp.py": 0,
    "features/editor/test_editor_start.py::test_the_start_takes_little_more_than_the_protocol": 0,
    "features/editor/test_editors.py": 0,
    "features/editor/test_vscode_extension.py": 0,
    "features/editor/test_editor_hover.py": 0,
    "features/editor/test_editor_names.py::test_an_editor_renames_lists_and_outlines": 0,
    "features/editor/test_editor_sessions.py": 0,
    "project/test_start_up.py": 0,
    # What waits, is large or starts processes, and the further ones of many cases.
    "campaign/test_campaign.py::test_a_case_repeats_its_run": 0,
    "campaign/test_campaign.py::test_a_reviewed_plan_continues_after_edits_without_effect_on_routes": 0,
    "campaign/test_campaign.py::test_a_reviewed_plan_stops_if_it_would_move_more": 0,
    "campaign/test_campaign.py::test_a_run_without_faults_succeeds_on_every_profile": 20,
    "campaign/test_campaign.py::test_two_faults_in_one_run": 1,
    "campaign/test_campaign.py::test_every_kind_of_fault_occurs": 0,
    "campaign/test_campaign.py::test_random_faults": 0,
    "campaign/test_campaign.py::test_random_faults_can_be_pinned": 0,
    "campaign/test_campaign.py::test_generated_scenarios_succeed_without_faults": 0,
    "campaign/test_campaign.py::test_single_faults": 0,
    "campaign/test_campaign.py::test_teams_apply_reviewed_plans_in_parallel": 1,
    "campaign/test_campaign.py::test_appliers_in_random_turns": 1,
    "campaign/test_campaign.py::test_two_interleaved_appliers": 0,
    "campaign/test_mutants.py::test_a_bug_is_caught": 12,
    "campaign/test_mutants.py::test_the_table_names_the_catching_case_of_each_bug": 0,
    "campaign/test_mutants.py::test_the_tool_itself_passes_the_cases_that_catch_the_bugs": 6,
    "campaign/test_studio.py::test_a_bug_is_caught_and_the_tool_passes": 6,
    "campaign/test_studio.py::test_a_case_repeats_its_run": 0,
    "campaign/test_studio.py::test_a_killed_or_disturbed_run_keeps_every_promise": 4,
    "campaign/test_studio.py::test_a_run_without_faults_is_one_save": 6,
    "campaign/test_studio.py::test_accidents_at_any_request": 0,
    "campaign/test_studio.py::test_every_kind_of_fault_happens": 0,
    "campaign/test_studio.py::test_outages_and_pairs_of_faults": 0,
    "campaign/test_studio.py::test_single_faults": 0,
    "deploy/test_install.py::test_each_way_installs_the_wheel_and_its_extras": 0,
    "deploy/test_install.py::test_a_wheel_names_no_page_that_it_does_not_have": 0,
    "features/endpoint/test_cancelled.py::test_a_repeat_after_any_cancellation_is_written_or_unclear": 2,
    "features/endpoint/test_client.py::test_a_thousand_concurrent_writes_request_one_token": 0,
    "features/endpoint/test_cognigy.py::test_the_code_node_builds_an_event_that_the_endpoint_accepts": 3,
    "features/endpoint/test_command.py::test_a_killed_tenant_is_reported_and_found_again": 0,
    "features/endpoint/test_command.py::test_a_refused_login_is_reported_to_the_caller_and_the_operator": 0,
    "features/endpoint/test_command.py::test_a_tenant_that_repeats_secrets_does_not_reveal_them": 1,
    "features/endpoint/test_event_counts.py::test_counts_of_two_instances_add_up_to_the_accepted_events": 0,
    "features/endpoint/test_load.py::test_a_slow_path_delays_others_only_with_few_allowed_calls": 0,
    "features/endpoint/test_load.py::test_a_tenant_that_is_down_every_other_second_is_used_when_up": 0,
    "features/endpoint/test_load.py::test_an_hour_of_work_leaves_nothing_behind": 0,
    "features/endpoint/test_load.py::test_an_outage_of_a_minute_costs_60_calls_and_ends_by_itself": 0,
    "features/endpoint/test_load.py::test_a_tenfold_load_does_not_disturb_the_possible_rate": 0,
    "features/endpoint/test_remembered.py::test_a_hundred_thousand_take_less_than_forty_megabytes": 0,
    "features/endpoint/test_remembered.py::test_a_stored_event_is_restored_unchanged": 0,
    "deploy/test_image.py::test_the_image_runs_as_another_user_on_a_read_only_tree": 0,
    "features/forge/github/test_templates.py::test_linters_accept_the_workflows": 0,
    "features/forge/test_contract.py::test_hostile_names_stay_text": 12,
    "hostile/test_answers.py::test_a_false_list_is_refused": 6,
    "hostile/test_answers.py::test_an_unusual_list_is_read_or_refused_without_harm": 6,
    "hostile/test_answers.py::test_a_slow_server_cannot_delay_a_run": 3,
    "hostile/test_answers.py::test_an_invalid_response_is_refused_in_one_sentence": 12,
    "hostile/test_copies.py::test_a_copy_with_another_unknown_field_is_not_a_duplicate": 1,
    "hostile/test_copies.py::test_an_edited_copy_is_never_written_and_the_original_never_deleted": 1,
    "hostile/test_copies.py::test_an_exact_duplicate_is_deleted": 1,
    "hostile/test_copies.py::test_if_both_are_edited_and_have_no_date_nothing_is_written": 1,
    "hostile/test_copies.py::test_without_a_date_a_copy_in_another_division_may_be_the_original": 1,
    "hostile/test_first_contact.py::test_a_known_tenant_that_cuts_a_longer_text_loses_no_rule": 1,
    "hostile/test_first_contact.py::test_a_created_rule_that_loses_its_marker_is_deleted": 5,
    "hostile/test_first_contact.py::test_an_adopted_rule_that_loses_its_marker_is_restored": 3,
    "hostile/test_first_contact.py::test_the_loop_writes_no_rule_again_after_a_lost_marker": 0,
    "hostile/test_first_contact.py::test_altered_texts_are_one_finding_and_not_rewritten": 1,
    "hostile/test_altered_texts.py::test_a_copy_of_a_killed_run_is_deleted_by_the_next_run": 2,
    "hostile/test_altered_texts.py::test_a_duplicate_is_deleted_by_the_next_run": 2,
    "hostile/test_altered_texts.py::test_a_temporary_copy_is_deleted_by_the_same_run": 2,
    "hostile/test_tls.py::test_an_https_address_of_an_http_server_ends_in_a_sentence": 0,
    "hostile/test_writes.py::test_a_rule_that_cannot_be_read_again_is_not_written": 2,
    "hostile/test_writes.py::test_a_redirected_write_is_not_repeated": 3,
    "hostile/test_writes.py::test_the_exit_code_shows_the_result_of_writes": 2,
    "targets/platform/test_access_hosts.py::test_no_step_of_the_login_follows_a_redirect": 4,
    "targets/platform/test_access_hosts.py::test_secrets_that_a_login_step_repeats_are_not_shown": 8,
    "core/checks/test_adequacy.py::test_exactly_the_edits_that_move_callers_are_counted": 4,
    "core/checks/test_adequacy_command.py::test_written_tests_pass_and_none_is_redundant": 20,
    "core/plan/test_bank_shares.py::test_random_edits_move_known_shares": 3,
    "core/checks/test_acknowledgements.py::test_a_hostile_reason_is_text": 6,
    "core/apply/test_loop.py::test_with_one_fault_of_any_kind_the_run_converges": 15,
    "core/apply/test_steps.py::test_a_crash_anywhere_is_completed_by_the_next_run": 3,
    "core/apply/test_steps.py::test_no_conversation_goes_to_a_third_queue": 16,
    "core/behaviour/test_difference.py::test_a_difference_from_an_empty_list_is_all_that_a_list_takes": 1,
    "core/behaviour/test_difference.py::test_a_list_does_not_differ_from_itself": 1,
    "core/behaviour/test_difference.py::test_regions_are_sound_complete_and_disjoint": 2,
    "core/behaviour/test_difference.py::test_regions_hold_for_pairs_that_shrink": 0,
    "core/behaviour/test_difference.py::test_a_limited_difference_reports_undecided_conversations": 1,
    "core/behaviour/test_promises.py::test_a_limited_search_is_sound_and_says_that_it_is_incomplete": 1,
    "core/behaviour/test_promises.py::test_known_types_are_respected": 1,
    "core/behaviour/test_promises.py::test_many_promises_are_checked_together": 1,
    "core/behaviour/test_promises.py::test_promises_are_about_the_bots_event": 1,
    "core/behaviour/test_promises.py::test_violations_are_sound_complete_and_disjoint": 2,
    "core/behaviour/test_rule_facts.py::test_facts_are_exactly_right": 5,
    "core/behaviour/test_rule_facts.py::test_rules_covered_by_better_priorities_are_not_paired": 0,
    "core/behaviour/test_order.py::test_every_part_of_every_wave_is_safe": 5,
    "core/behaviour/test_order.py::test_orders_are_safe_for_pairs_that_shrink": 0,
    "core/behaviour/test_effects.py::test_effects_of_grown_pairs_are_exact": 1,
    "core/behaviour/test_effects.py::test_effects_of_small_pairs_are_exact": 3,
    "core/behaviour/test_effects.py::test_effects_of_tangled_pairs_are_exact": 1,
    "core/behaviour/test_effects.py::test_effects_within_a_work_limit_are_exact": 1,
    "cli/test_completion.py::test_fish_offers_a_further_environment": 0,
    "cli/test_unwritable_places.py::test_a_result_without_stdout_is_an_error": 2,
    "cli/test_unwritable_places.py::test_the_sandbox_is_read_where_nothing_can_be_written": 1,
    "cli/test_main.py::test_output_that_cannot_be_written_is_one_sentence": 1,
    "cli/test_main.py::test_the_demo_works_without_a_terminal": 0,
    "targets/rules_api/test_client.py::test_a_thousand_calls_share_a_token_with_any_lifetime": 0,
    "targets/rules_api/test_client.py::test_a_thousand_refused_calls_share_one_new_token": 0,
    "render/test_comment_limits.py::test_a_comment_of_any_plan_fits": 2,
    "render/test_comment_limits.py::test_a_thousand_changes_are_written_quickly": 0,
    "render/test_comment_limits.py::test_each_level_has_the_main_parts": 2,
    "render/test_comment_limits.py::test_less_detail_is_shorter": 0,
    "render/test_comment_limits.py::test_ten_thousand_changes_fit": 0,
    "render/test_comment_limits.py::test_the_longest_names_fit": 1,
    "core/apply/test_convergence.py::test_every_pair_converges_and_stays": 1,
    "targets/platform/test_aiohttp_connections.py::test_bytes_after_a_response_do_not_answer_the_next_request": 1,
    "targets/platform/test_aiohttp_connections.py::test_a_response_may_arrive_in_two_parts": 0,
    "targets/platform/test_aiohttp_connections.py::test_thousands_of_requests_and_failures_leave_no_file_open": 0,
    "targets/platform/test_aiohttp_connections.py::test_bytes_before_a_request_do_not_answer_it": 0,
    "targets/platform/test_aiohttp_connections.py::test_an_invalid_response_is_an_error": 2,
    "targets/platform/test_aiohttp_connections.py::test_a_cancelled_request_leaves_no_response_to_the_next": 1,
    "targets/platform/test_aiohttp_trust.py::test_a_line_end_inside_a_request_is_never_sent": 2,
    "targets/platform/test_aiohttp_trust.py::test_a_request_to_an_unreachable_server_was_not_sent": 4,
    "core/text/test_redact.py::test_the_newest_of_many_tokens_are_hidden_in_bounded_memory": 0,
    "features/doctor/test_doctor.py::test_a_tenant_that_never_answers_ends_in_time": 0,
    "core/plan/test_drift.py::test_drift_against_a_plain_evaluator": 1,
    "core/checks/test_promises.py::test_hostile_names_break_neither_xml_nor_a_terminal": 6,
    "core/checks/test_explain.py::test_an_invalid_request_is_one_sentence": 6,
    "features/export/test_generated.py::test_a_tenant_of_any_size_is_adopted_unchanged": 1,
    "features/export/test_generated.py::test_three_thousand_rules_are_adopted_unchanged": 0,
    "features/export/test_update_manifest.py::test_every_field_of_every_rule_of_the_bank_can_be_kept": 1,
    "cli/test_freeze_between.py::test_watch_apply_stops_as_well": 0,
    "project/test_hooks.py::test_its_command_passes_on_this_repository": 1,
    "core/manifest/test_other_tools.py::test_an_export_is_stable_and_the_same_to_other_loaders": 1,
    "core/manifest/test_other_tools.py::test_prettier_and_yamllint_leave_every_file_as_it_is": 1,
    "core/manifest/test_other_tools.py::test_the_files_of_init_are_stable_and_load_elsewhere": 1,
    "core/manifest/test_other_tools.py::test_the_printed_profile_and_schema_are_stable": 0,
    "core/manifest/test_hostile_manifests.py::test_errors_of_many_rules_are_reported_quickly": 0,
    "core/manifest/test_hostile_manifests.py::test_no_file_takes_long": 1,
    "core/manifest/test_hostile_manifests.py::test_mutated_manifests_load_or_end_in_findings": 0,
    "core/manifest/test_hostile_manifests.py::test_any_json_value_loads_or_ends_in_findings": 0,
    "project/test_house.py::test_a_source_archive_contains_every_file_of_the_repository": 0,
    "project/test_house.py::test_a_wheel_from_the_source_archive_is_the_same": 0,
    "project/test_house.py::test_make_demo_leaves_the_command_and_prints_the_next_step": 0,
    "release/test_check.py": 0,
    "release/test_dry_run.py::test_a_workflow_that_would_publish_wrongly_is_refused": 4,
    "features/explore/test_explore.py::test_a_name_changes_only_text": 12,
    "features/explore/test_explore.py::test_the_data_have_each_name_exactly": 12,
    "features/explore/test_explore.py::test_ten_thousand_rules_fit": 0,
    "features/table/test_command.py::test_a_workbook_comes_back_from_libreoffice_with_its_edit": 0,
    "features/table/test_command.py::test_a_file_of_another_format_says_what_it_is": 0,
    "features/table/test_files.py::test_libreoffice_keeps_every_cell": 0,
    "features/table/test_round_trip.py::test_an_unedited_table_has_no_edits": 40,
    "features/table/test_round_trip.py::test_an_edited_queue_changes_one_scalar": 20,
    "features/table/test_round_trip.py::test_cells_copied_from_other_rows_define_exactly_these_rules": 20,
    "render/test_html.py::test_a_name_changes_only_text": 12,
    "render/test_html.py::test_a_thousand_changes_are_all_there": 0,
    "core/checks/test_lint_work.py::test_a_budget_that_counts_too_little_is_noticed": 0,
    "core/checks/test_lint_work.py::test_a_difference_ends_before_its_exceptions_fill_the_memory": 0,
    "core/checks/test_lint_work.py::test_facts_within_a_bound_are_correct": 2,
    "features/endpoint/test_server_log.py::test_an_endpoint_works_without_a_reader_of_its_log": 0,
    "render/test_markdown.py::test_a_name_changes_only_text": 30,
    "render/test_markdown.py::test_every_row_has_the_cells_of_its_head": 12,
    "render/test_markdown.py::test_no_line_end_from_a_name": 12,
    "render/test_markdown.py::test_only_intended_links_and_no_active_text": 46,
    "project/test_mutation.py::test_a_mutant_is_tried_in_a_separate_process": 0,
    "features/watch/test_notify.py::test_a_code_span_cannot_be_left": 0,
    "features/watch/test_notify.py::test_names_from_outside_are_escaped": 36,
    "core/plan/test_odd_live_rules.py::test_no_command_raises_for_any_mixture": 0,
    "core/plan/test_odd_live_rules.py::test_no_command_raises_for_any_odd_rule": 0,
    "targets/platform/test_circuit_breaker.py::test_retries_have_a_budget": 0,
    "targets/platform/test_rate_limiter.py::test_a_lower_limit_is_learnt_from_429s": 2,
    "targets/platform/test_rate_limiter.py::test_a_tenant_with_an_unexpected_limit_fails_no_create": 1,
    "targets/platform/test_rate_socket.py": 0,
    "core/manifest/test_yaml_patch.py::test_in_every_style_only_the_intended_value_changes": 0,
    "targets/rules_api/test_profile.py::test_a_rule_is_written_back_as_it_was_read": 0,
    "targets/rules_api/test_queue_sources.py::test_the_program_reads_the_queues_of_the_platform": 2,
    "core/text/test_files.py::test_one_module_opens_files_for_reading": 0,
    "cli/test_review.py::test_a_rename_stops_an_apply_only_if_the_plan_needs_the_name": 2,
    "cli/test_review.py::test_an_edit_without_effect_on_routing_does_not_stop_an_apply": 2,
    "cli/test_review.py::test_three_teams_apply_reviewed_plans_concurrently": 0,
    "render/test_sarif.py::test_a_file_of_any_name_is_a_relative_reference": 12,
    "render/test_sarif.py::test_results_above_the_limit_of_github_are_omitted": 0,
    "cli/test_secrets.py::test_a_secret_in_a_rule_is_redacted": 6,
    "cli/test_secrets.py::test_a_test_that_exposes_a_secret_fails": 0,
    "cli/test_secrets.py::test_the_response_of_a_write_is_redacted": 2,
    "cli/test_secrets.py::test_no_command_repeats_a_secret": 6,
    "cli/test_secrets.py::test_a_secret_repeated_by_a_server_is_redacted": 12,
    "core/plan/test_traffic_shares_generated.py::test_shares_hold_for_every_completion_of_the_sample": 0,
    "core/plan/test_replay.py::test_replay_equals_the_evaluator_and_the_shares_of_the_sample": 2,
    "features/traffic/test_imports.py::test_memory_grows_with_the_cells_and_not_with_the_rows": 0,
    "core/traffic/test_records.py::test_memory_does_not_grow_with_the_file": 0,
    "features/practice/test_simulator.py::test_any_json_is_answered": 0,
    "features/practice/test_server.py::test_a_killed_server_has_every_acknowledged_create": 0,
    "features/practice/test_server.py::test_the_contract_holds_over_a_socket": 0,
    "core/desired/test_substitution.py::test_memory_stays_bounded_with_any_variables": 1,
    "cli/test_terminal.py::test_colours_in_a_pipe": 2,
    "cli/test_terminal.py::test_colours_on_a_terminal": 2,
    "cli/test_terminal.py::test_no_line_is_longer_than_the_terminal": 0,
    "cli/test_terminal.py::test_the_progress_bar_has_the_configured_colours": 1,
    "features/journal/test_undo_generated.py::test_the_next_run_completes_an_undo_after_a_fault_at_any_request": 0,
    "features/journal/test_undo_generated.py::test_an_interrupted_run_is_undone_as_far_as_it_came": 1,
    "features/journal/test_undo_generated.py::test_an_undo_restores_the_state_before_the_run": 10,
    "cli/test_usage.py::test_an_invalid_command_line_is_refused_in_a_sentence": 10,
    "core/behaviour/test_sendable_examples.py::test_an_intent_is_added_to_an_example_without_one": 1,
    "core/behaviour/test_sendable_examples.py::test_every_example_of_the_bank_has_an_intent": 1,
    "core/behaviour/test_value_types.py::test_a_difference_among_known_types_is_exact": 3,
    "core/behaviour/test_value_types.py::test_rows_of_other_types_are_named": 3,
    "targets/platform/test_waits.py::test_a_slow_token_is_reported": 2,
    "targets/platform/test_waits.py::test_quiet_reports_no_wait_and_a_json_log_has_an_event": 0,
    "features/watch/test_watch.py::test_a_signal_between_two_writes_ends_the_loop_as_in_apply": 0,
    "features/watch/test_watch.py::test_an_outage_of_the_tenant_is_notified_once": 0,
    "features/watch/test_watch_loop.py::test_remembered_notifications_are_limited": 0,
    "render/test_effects_text.py::test_every_sentence_is_true": 6,
    "render/test_who_is_affected.py::test_rows_of_a_first_plan_do_not_contradict_each_other": 0,
    "core/behaviour/test_containment.py::test_containment_is_exact": 1,
}
"""A folder, file or test below tests/ -> how many of its cases are fast: the first ones."""
SHARES: Final = {
    "features/forge/test_contract.py::test_unreadable_approvals_are_an_error": 6,
    "features/forge/test_contract.py::test_another_plan_is_refused": 6,
    "features/traffic/test_imports.py::test_memory_grows_with_the_cells_and_not_with_the_rows": 0,
    "core/traffic/test_records.py::test_memory_does_not_grow_with_the_file": 0,
    "campaign/test_campaign.py::test_every_kind_of_fault_occurs": 0,
    "campaign/test_studio.py::test_every_kind_of_fault_happens": 0,
    "targets/platform/test_rate_socket.py::test_creates_on_a_tenant_that_allows_less": 0,
    "core/plan/test_bank_shares.py::test_random_edits_move_known_shares": 0,
    "cli/test_main.py::test_the_demo_works_without_a_terminal": 6,
    "features/editor/test_lsp.py::test_an_edit_among_1000_rules_is_answered_in_time": 0,
    "features/editor/test_lsp.py::test_many_edits_are_checked_together": 0,
    "features/editor/test_editor_start.py::test_the_start_takes_little_more_than_the_protocol": 0,
    "render/test_comment_limits.py::test_ten_thousand_changes_fit": 0,
    "features/explore/test_explore_effects.py::test_ten_thousand_rules_with_a_change_fit": 0,
    "browser/test_explore.py::test_ten_thousand_rules_are_fast": 0,
    "features/export/test_generated.py::test_three_thousand_rules_are_adopted_unchanged": 0,
    "features/watch/test_watch_loop.py::test_remembered_notifications_are_limited": 0,
    "project/test_mutation.py::test_a_mutant_is_tried_in_a_separate_process": 0,
    "features/endpoint/test_client.py::test_a_thousand_concurrent_writes_request_one_token": 0,
    "core/manifest/test_hostile_manifests.py::test_mutated_manifests_load_or_end_in_findings": 0,
    "campaign/test_campaign.py::test_a_reviewed_plan_continues_after_edits_without_effect_on_routes": 12,
    "campaign/test_campaign.py::test_a_reviewed_plan_stops_if_it_would_move_more": 12,
    "campaign/test_campaign.py::test_a_run_without_faults_succeeds_on_every_profile": 12,
    "campaign/test_campaign.py::test_two_faults_in_one_run": 6,
    "campaign/test_campaign.py::test_random_faults": 6,
    "campaign/test_campaign.py::test_appliers_in_random_turns": 6,
    "campaign/test_campaign.py::test_two_interleaved_appliers": 6,
    "crash/test_killed.py::test_killed_at_a_request": 12,
    "crash/test_killed.py::test_killed_at_any_instant": 4,
    "features/endpoint/test_upgrade.py::test_data_directly_after_it_is_not_read": 10,
    "hostile/test_answers.py::test_a_slow_server_cannot_delay_a_run": 6,
    "hostile/test_answers.py::test_an_invalid_response_is_refused_in_one_sentence": 12,
    "hostile/test_copies.py::test_a_copy_with_another_unknown_field_is_not_a_duplicate": 12,
    "hostile/test_copies.py::test_an_edited_copy_is_never_written_and_the_original_never_deleted": 12,
    "hostile/test_copies.py::test_if_both_are_edited_and_have_no_date_nothing_is_written": 12,
    "hostile/test_copies.py::test_without_a_date_a_copy_in_another_division_may_be_the_original": 12,
    "hostile/test_first_contact.py::test_a_created_rule_that_loses_its_marker_is_deleted": 12,
    "hostile/test_first_contact.py::test_an_adopted_rule_that_loses_its_marker_is_restored": 6,
    "hostile/test_first_contact.py::test_altered_texts_are_one_finding_and_not_rewritten": 12,
    "hostile/test_writes.py::test_the_exit_code_shows_the_result_of_writes": 12,
    "targets/platform/test_access_hosts.py::test_secrets_that_a_login_step_repeats_are_not_shown": 6,
    "core/behaviour/test_difference.py::test_regions_are_sound_complete_and_disjoint": 12,
    "core/checks/test_adequacy_command.py::test_written_tests_pass_and_none_is_redundant": 12,
    "core/behaviour/test_rule_facts.py::test_facts_are_exactly_right": 12,
    "core/behaviour/test_order.py::test_every_part_of_every_wave_is_safe": 12,
    "core/behaviour/test_effects.py::test_effects_of_grown_pairs_are_exact": 12,
    "core/behaviour/test_effects.py::test_effects_of_tangled_pairs_are_exact": 12,
    "targets/rules_api/test_client.py::test_a_thousand_calls_share_a_token_with_any_lifetime": 12,
    "render/test_comment_limits.py::test_each_level_has_the_main_parts": 12,
    "core/apply/test_convergence.py::test_every_pair_converges_and_stays": 12,
    "core/plan/test_drift.py::test_drift_against_a_plain_evaluator": 12,
    "features/export/test_update_manifest.py::test_every_field_of_every_rule_of_the_bank_can_be_kept": 12,
    "core/manifest/test_hostile_manifests.py::test_errors_of_many_rules_are_reported_quickly": 12,
    "core/manifest/test_hostile_manifests.py::test_no_file_takes_long": 12,
    "core/plan/test_odd_live_rules.py::test_no_command_raises_for_any_odd_rule": 12,
    "cli/test_secrets.py::test_no_command_repeats_a_secret": 12,
    "cli/test_secrets.py::test_a_secret_repeated_by_a_server_is_redacted": 12,
    "core/plan/test_traffic_shares_generated.py::test_shares_hold_for_every_completion_of_the_sample": 12,
    "project/test_start_up.py::test_an_interrupt_during_the_start_is_one_document": 12,
    "project/test_start_up.py::test_an_interrupt_during_the_start_is_one_sentence": 12,
    "core/desired/test_substitution.py::test_memory_stays_bounded_with_any_variables": 12,
    "cli/test_terminal.py::test_no_line_is_longer_than_the_terminal": 6,
    "features/journal/test_undo_generated.py::test_the_next_run_completes_an_undo_after_a_fault_at_any_request": 12,
    "features/journal/test_undo_generated.py::test_an_interrupted_run_is_undone_as_far_as_it_came": 12,
    "features/journal/test_undo_generated.py::test_an_undo_restores_the_state_before_the_run": 12,
    "cli/test_usage.py::test_an_invalid_command_line_is_refused_in_a_sentence": 6,
    "core/behaviour/test_value_types.py::test_a_difference_among_known_types_is_exact": 12,
    "deploy/test_install.py::test_each_way_installs_the_wheel_and_its_extras": 6,
    "campaign/test_matrix.py::test_a_cell_behaves_as_in_the_table": 6,
    "campaign/test_studio.py::test_single_faults": 12,
    "campaign/test_studio.py::test_outages_and_pairs_of_faults": 12,
    "campaign/test_studio.py::test_accidents_at_any_request": 12,
    "campaign/test_campaign.py::test_single_faults": 12,
    "campaign/test_mutants.py::test_a_bug_is_caught": 6,
    "release/test_check.py::test_a_list_of_other_packages_is_refused": 6,
    "browser/test_explore.py::test_the_page_is_self_contained_and_accessible": 4,
    "browser/test_report.py::test_the_report_is_self_contained_and_accessible": 4,
    "browser/test_explore.py::test_no_name_becomes_markup": 6,
    "browser/test_explore.py::test_an_odd_address_gets_an_answer": 6,
    "features/forge/test_contract.py::test_hostile_names_stay_text": 12,
    "cli/test_completion.py::test_bash_offers_them": 12,
    "features/editor/test_editor_sessions.py::test_an_invalid_position_is_refused": 6,
    "cli/test_freeze_between.py::test_watch_apply_stops_as_well": 6,
    "core/checks/test_adequacy.py::test_exactly_the_edits_that_move_callers_are_counted": 12,
    "docs/test_citations.py::test_every_item_is_cited_by_a_module_or_a_test": 12,
    "features/table/test_command.py::test_a_file_of_another_format_says_what_it_is": 6,
    "cli/test_unwritable_places.py::test_the_sandbox_is_read_where_nothing_can_be_written": 6,
    "features/export/test_generated.py::test_a_tenant_of_any_size_is_adopted_unchanged": 12,
    "cli/test_main.py::test_output_that_cannot_be_written_is_one_sentence": 6,
    "features/endpoint/test_upgrade.py::test_a_request_is_answered_as_without_it": 10,
    "features/endpoint/test_upgrade.py::test_its_body_may_arrive_in_any_pieces": 10,
    "hostile/test_answers.py::test_a_false_list_is_refused": 12,
    "hostile/test_answers.py::test_an_unusual_list_is_read_or_refused_without_harm": 12,
    "targets/platform/test_access_hosts.py::test_no_step_of_the_login_follows_a_redirect": 6,
    "render/test_markdown.py::test_a_name_changes_only_text": 6,
    "render/test_html.py::test_a_name_changes_only_text": 6,
    "features/explore/test_explore.py::test_a_name_changes_only_text": 6,
    "core/behaviour/test_difference.py::test_regions_hold_for_pairs_that_shrink": 12,
    "core/behaviour/test_promises.py::test_violations_are_sound_complete_and_disjoint": 12,
    "hostile/test_first_contact.py::test_a_known_tenant_that_cuts_a_longer_text_loses_no_rule": 6,
    "core/plan/test_odd_live_rules.py::test_no_command_raises_for_any_mixture": 12,
}
"""Slow cases of these are many and alike: `make test-all` runs one in so many of them, `make
campaign` all.

0 leaves all slow cases to the campaign: they measure memory or time, or repeat at a large size what
faster tests show.
"""
USUAL_SHARE: Final = 4
"""That of the other slow tests: of their cases, one in so many; every one where `DISTINCT` says
so."""
DISTINCT: Final = (
    "browser",
    "deploy",
    "docs",
    "endpoint",
    "forge",
    "project",
    "release",
)
"""Folders whose cases are each about something else: a page, a package, a forge, a command."""


def has_no_test(path: str, markers: str) -> bool:
    """Return whether a tier has nothing of a file.

    `path` is relative to tests/, `markers` what pytest chooses by.
    """
    if markers == FAST:
        return any(PARTS.get(part) == 0 for part in _parts(path))

    is_test = path.rpartition("/")[2].startswith("test_") and path.endswith(".py")
    return markers == REST and is_test and not _has_slow_tests(path)


def _has_slow_tests(path: str) -> bool:
    slow = {key.partition("::")[0] for key in PARTS} | MARKED
    return any(part in slow for part in _parts(path))


def mark_slow(items: Iterable[tuple[str, pytest.Item]]) -> list[pytest.Item]:
    """Mark the slow ones among tests, each with its file relative to tests/, in the order of their
    collection.

    Returns those that are left to `make campaign`.
    """
    observed: Counter[str] = Counter()
    remaining: list[pytest.Item] = []
    for path, item in items:
        test = f"{path}::{item.name.partition('[')[0]}"
        for part in (*_parts(path), test):
            observed[part] += 1
            if observed[part] > PARTS.get(part, observed[part]):
                item.add_marker(pytest.mark.slow)
        further = observed[test] - PARTS.get(test, 0) - 1
        is_slow = item.get_closest_marker("slow") is not None
        if is_slow and not FULL and not _is_tried(further, _share(test)):
            remaining.append(item)
    return remaining


def _share(test: str) -> int:
    usual = 1 if test.startswith(DISTINCT) else USUAL_SHARE
    return SHARES.get(test, usual)


def _is_tried(further: int, share: int) -> bool:
    """Return whether the slow tier has a slow case, by its number from 0."""
    return share > 0 and further % share == 0


def _parts(path: str) -> Iterator[str]:
    """Yield a file and the folders that it is in."""
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
