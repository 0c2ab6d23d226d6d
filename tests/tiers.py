"""The two tiers of the tests: `make test` runs those that are not `slow`, `make test-all` runs all.

The fast tier takes at most 120 s on two quiet cores, runs in process mostly, and touches every package and promise.
The tables say what is slow. The matrix of faults marks its own cases: the first one of each fault is fast.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import pytest

FULL: Final = os.environ.get("CXROUTE_CAMPAIGN") == "full"
"""Whether everything is to be tried, and not the sample that `make test-all` has time for."""
FAST: Final = "not slow"
"""The fast tier, as `make test` chooses it."""
PARTS: Final = {
    # Real browsers and processes, servers under load, pages whose commands are all typed.
    "browser": 0,
    "endpoint/test_conversation.py": 0,
    "endpoint/test_document.py": 0,
    "endpoint/test_ending.py": 0,
    "endpoint/test_fuzz.py": 0,
    "endpoint/test_memory.py": 0,
    "endpoint/test_model.py": 0,
    "endpoint/test_proof.py": 0,
    "endpoint/test_shared.py": 0,
    "endpoint/test_siege.py": 0,
    "endpoint/test_work.py": 0,
    "crash": 0,
    "docs": 0,
    "github/test_workflows.py": 0,
    "cxone/test_access_socket.py": 0,
    "cli/test_shard_processes.py": 0,
    "cli/test_socket.py": 0,
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
    "endpoint/test_cancelled.py::test_a_repeat_after_any_cancellation_is_written_or_unclear": 2,
    "endpoint/test_client.py::test_a_thousand_concurrent_writes_request_one_token": 0,
    "endpoint/test_cognigy.py::test_the_code_node_builds_an_event_that_the_endpoint_accepts": 3,
    "endpoint/test_command.py::test_a_killed_tenant_is_reported_and_found_again": 0,
    "endpoint/test_command.py::test_a_tenant_that_repeats_secrets_does_not_reveal_them": 1,
    "endpoint/test_load.py::test_a_slow_path_delays_others_only_with_few_allowed_calls": 0,
    "endpoint/test_load.py::test_a_tenant_that_is_down_every_other_second_is_used_when_up": 0,
    "endpoint/test_load.py::test_an_hour_of_work_leaves_nothing_behind": 0,
    "endpoint/test_load.py::test_an_outage_of_a_minute_costs_60_calls_and_ends_by_itself": 0,
    "endpoint/test_load.py::test_a_tenfold_load_does_not_disturb_the_possible_rate": 0,
    "endpoint/test_remembered.py::test_a_hundred_thousand_take_less_than_forty_megabytes": 0,
    "endpoint/test_remembered.py::test_a_stored_event_is_restored_unchanged": 0,
    "endpoint/test_shared_turns.py::test_an_unrecorded_write_counts_unless_another_instance_wrote": 1,
    "endpoint/test_shared_turns.py::test_an_unclear_write_is_not_answered_with_a_retry": 0,
    "deploy/test_image.py::test_the_image_runs_as_another_user_on_a_read_only_tree": 0,
    "github/test_templates.py::test_linters_accept_the_workflows": 0,
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
    "cxone/test_access_hosts.py::test_no_step_of_the_login_follows_a_redirect": 4,
    "cxone/test_access_hosts.py::test_secrets_that_a_login_step_repeats_are_not_shown": 8,
    "checks/test_adequacy.py::test_exactly_the_edits_that_move_callers_are_counted": 4,
    "checks/test_adequacy_command.py::test_written_tests_pass_and_none_is_redundant": 20,
    "checks/test_acknowledgements.py::test_a_hostile_reason_is_text": 6,
    "apply/test_loop.py::test_with_one_fault_of_any_kind_the_run_converges": 15,
    "apply/test_steps.py::test_a_crash_anywhere_is_completed_by_the_next_run": 3,
    "apply/test_steps.py::test_no_conversation_goes_to_a_third_queue": 16,
    "behaviour/test_difference.py::test_a_difference_from_an_empty_list_is_all_that_a_list_takes": 1,
    "behaviour/test_difference.py::test_a_list_does_not_differ_from_itself": 1,
    "behaviour/test_difference.py::test_regions_are_sound_complete_and_disjoint": 2,
    "behaviour/test_difference.py::test_regions_hold_for_pairs_that_shrink": 0,
    "behaviour/test_difference.py::test_a_limited_difference_reports_undecided_conversations": 1,
    "behaviour/test_promises.py::test_a_limited_search_is_sound_and_says_that_it_is_incomplete": 1,
    "behaviour/test_promises.py::test_known_types_are_respected": 1,
    "behaviour/test_promises.py::test_many_promises_are_checked_together": 1,
    "behaviour/test_promises.py::test_promises_are_about_the_bots_event": 1,
    "behaviour/test_promises.py::test_violations_are_sound_complete_and_disjoint": 2,
    "behaviour/test_rule_facts.py::test_facts_are_exactly_right": 5,
    "behaviour/test_rule_facts.py::test_rules_covered_by_better_priorities_are_not_paired": 0,
    "behaviour/test_order.py::test_every_part_of_every_wave_is_safe": 5,
    "behaviour/test_order.py::test_orders_are_safe_for_pairs_that_shrink": 0,
    "behaviour/test_rows.py::test_rows_of_grown_pairs_are_exact": 1,
    "behaviour/test_rows.py::test_rows_of_small_pairs_are_exact": 3,
    "behaviour/test_rows.py::test_rows_of_tangled_pairs_are_exact": 1,
    "behaviour/test_rows.py::test_rows_within_a_work_limit_are_exact": 1,
    "cli/test_main.py::test_output_that_cannot_be_written_is_one_sentence": 1,
    "cli/test_main.py::test_the_demo_works_without_a_terminal": 0,
    "cxone/test_client.py::test_a_thousand_calls_share_a_token_with_any_lifetime": 0,
    "cxone/test_client.py::test_a_thousand_refused_calls_share_one_new_token": 0,
    "render/test_comment_limits.py::test_a_comment_of_any_plan_fits": 2,
    "render/test_comment_limits.py::test_a_thousand_changes_are_written_quickly": 0,
    "render/test_comment_limits.py::test_each_level_has_the_main_parts": 2,
    "render/test_comment_limits.py::test_less_detail_is_shorter": 0,
    "render/test_comment_limits.py::test_ten_thousand_changes_fit": 0,
    "render/test_comment_limits.py::test_the_longest_names_fit": 1,
    "apply/test_convergence.py::test_every_pair_converges_and_stays": 1,
    "cxone/test_fast_transport.py::test_bytes_after_a_response_do_not_answer_the_next_request": 1,
    "cxone/test_fast_transport.py::test_a_response_may_arrive_in_two_parts": 0,
    "cxone/test_fast_transport.py::test_thousands_of_requests_and_failures_leave_no_file_open": 0,
    "cxone/test_fast_transport.py::test_bytes_before_a_request_do_not_answer_it": 0,
    "cxone/test_fast_transport.py::test_an_invalid_response_is_an_error": 2,
    "cxone/test_fast_transport.py::test_a_cancelled_request_leaves_no_response_to_the_next": 1,
    "cxone/test_fast_transport_network.py::test_a_line_end_inside_a_request_is_never_sent": 2,
    "cxone/test_fast_transport_network.py::test_a_request_to_an_unreachable_server_was_not_sent": 4,
    "text/test_redact.py::test_the_newest_of_many_tokens_are_hidden_in_bounded_memory": 0,
    "doctor/test_doctor.py::test_a_tenant_that_never_answers_ends_in_time": 0,
    "plan/test_drift.py::test_drift_against_a_plain_evaluator": 1,
    "render/test_equal_edits.py::test_hostile_values_in_a_group_are_text": 6,
    "checks/test_promises.py::test_hostile_names_break_neither_xml_nor_a_terminal": 6,
    "checks/test_explain.py::test_an_invalid_request_is_one_sentence": 6,
    "export/test_generated.py::test_a_tenant_of_any_size_is_adopted_unchanged": 1,
    "export/test_generated.py::test_three_thousand_rules_are_adopted_unchanged": 0,
    "export/test_update_manifest.py::test_every_field_of_every_rule_of_the_bank_can_be_kept": 1,
    "cli/test_freeze_between.py::test_watch_apply_stops_as_well": 0,
    "project/test_hooks.py::test_its_command_passes_on_this_repository": 1,
    "manifest/test_hostile_manifests.py::test_errors_of_many_rules_are_reported_quickly": 0,
    "manifest/test_hostile_manifests.py::test_no_file_takes_long": 1,
    "manifest/test_hostile_manifests.py::test_mutated_manifests_load_or_end_in_findings": 0,
    "manifest/test_hostile_manifests.py::test_any_json_value_loads_or_ends_in_findings": 0,
    "project/test_house.py::test_a_source_archive_contains_every_file_of_the_repository": 0,
    "project/test_house.py::test_a_wheel_from_the_source_archive_is_the_same": 0,
    "project/test_house.py::test_make_demo_leaves_the_command_and_prints_the_next_step": 0,
    "render/test_html.py::test_a_name_changes_only_text": 12,
    "render/test_html.py::test_a_thousand_changes_are_all_there": 0,
    "checks/test_lint_work.py::test_a_budget_that_counts_too_little_is_noticed": 0,
    "checks/test_lint_work.py::test_a_difference_ends_before_its_exceptions_fill_the_memory": 0,
    "checks/test_lint_work.py::test_facts_within_a_bound_are_correct": 2,
    "cli/test_server_log.py::test_an_endpoint_works_without_a_reader_of_its_log": 0,
    "render/test_markdown.py::test_a_name_changes_only_text": 30,
    "render/test_markdown.py::test_every_row_has_the_cells_of_its_head": 12,
    "render/test_markdown.py::test_no_line_end_from_a_name": 12,
    "render/test_markdown.py::test_only_intended_links_and_no_active_text": 46,
    "project/test_mutation.py::test_a_mutant_is_tried_in_a_separate_process": 0,
    "cli/test_notify.py::test_a_code_span_cannot_be_left": 0,
    "cli/test_notify.py::test_names_from_outside_are_escaped": 36,
    "plan/test_odd_live_rules.py::test_no_command_raises_for_any_mixture": 0,
    "plan/test_odd_live_rules.py::test_no_command_raises_for_any_odd_rule": 0,
    "cxone/test_circuit_breaker.py::test_retries_have_a_budget": 0,
    "cxone/test_rate_limiter.py::test_a_lower_limit_is_learnt_from_429s": 0,
    "cxone/test_rate_limiter.py::test_a_tenant_with_an_unexpected_limit_fails_no_create": 1,
    "cxone/test_rate_refusals.py::test_429s_from_other_clients_at_most_double_the_time": 0,
    "manifest/test_yaml_patch.py::test_in_every_style_only_the_intended_value_changes": 0,
    "cxone/test_profile.py::test_a_rule_is_written_back_as_it_was_read": 0,
    "cxone/test_queue_sources.py::test_the_program_reaches_every_kind_of_tenant_by_a_manifest": 2,
    "text/test_files.py::test_one_module_opens_files_for_reading": 0,
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
    "plan/test_traffic_shares_generated.py::test_shares_hold_for_every_completion_of_the_sample": 0,
    "simulator/test_simulator.py::test_any_json_is_answered": 0,
    "simulator/test_server.py::test_a_killed_server_has_every_acknowledged_create": 0,
    "simulator/test_server.py::test_the_contract_holds_over_a_socket": 0,
    "desired/test_substitution.py::test_memory_stays_bounded_with_any_variables": 1,
    "cli/test_terminal.py::test_colours_in_a_pipe": 2,
    "cli/test_terminal.py::test_colours_on_a_terminal": 2,
    "cli/test_terminal.py::test_no_line_is_longer_than_the_terminal": 0,
    "cli/test_terminal.py::test_the_progress_bar_has_the_configured_colours": 1,
    "journal/test_undo_generated.py::test_the_next_run_completes_an_undo_after_a_fault_at_any_request": 0,
    "journal/test_undo_generated.py::test_an_interrupted_run_is_undone_as_far_as_it_came": 1,
    "journal/test_undo_generated.py::test_an_undo_restores_the_state_before_the_run": 10,
    "cli/test_usage.py::test_an_invalid_command_line_is_refused_in_a_sentence": 10,
    "behaviour/test_value_types.py::test_a_difference_among_known_types_is_exact": 3,
    "behaviour/test_value_types.py::test_rows_of_other_types_are_named_and_come_last": 3,
    "cxone/test_waits.py::test_a_slow_token_is_reported": 2,
    "cxone/test_waits.py::test_quiet_reports_no_wait_and_a_json_log_has_an_event": 0,
    "watch/test_watch.py::test_a_signal_between_two_writes_ends_the_loop_as_in_apply": 0,
    "watch/test_watch.py::test_an_outage_of_the_tenant_is_notified_once": 0,
    "watch/test_watch_loop.py::test_remembered_notifications_are_limited": 0,
    "render/test_who_is_affected.py::test_rows_of_a_first_plan_do_not_contradict_each_other": 0,
    "behaviour/test_containment.py::test_containment_is_exact": 1,
}
"""A folder, file or test below tests/ -> how many of its cases are fast: the first ones."""
SHARES: Final = {
    "campaign/test_campaign.py::test_a_reviewed_plan_continues_after_edits_without_effect_on_routes": 6,
    "campaign/test_campaign.py::test_a_reviewed_plan_stops_if_it_would_move_more": 6,
    "campaign/test_campaign.py::test_a_run_without_faults_succeeds_on_every_profile": 6,
    "campaign/test_campaign.py::test_two_faults_in_one_run": 3,
    "campaign/test_campaign.py::test_random_faults": 3,
    "campaign/test_campaign.py::test_appliers_in_random_turns": 3,
    "campaign/test_campaign.py::test_two_interleaved_appliers": 3,
    "crash/test_killed.py::test_killed_at_a_request": 6,
    "crash/test_killed.py::test_killed_at_any_instant": 2,
    "hostile/test_answers.py::test_a_slow_server_cannot_delay_a_run": 3,
    "hostile/test_answers.py::test_an_invalid_response_is_refused_in_one_sentence": 6,
    "hostile/test_copies.py::test_a_copy_with_another_unknown_field_is_not_a_duplicate": 6,
    "hostile/test_copies.py::test_an_edited_copy_is_never_written_and_the_original_never_deleted": 6,
    "hostile/test_copies.py::test_if_both_are_edited_and_have_no_date_nothing_is_written": 6,
    "hostile/test_copies.py::test_without_a_date_a_copy_in_another_division_may_be_the_original": 6,
    "hostile/test_first_contact.py::test_a_created_rule_that_loses_its_marker_is_deleted": 6,
    "hostile/test_first_contact.py::test_an_adopted_rule_that_loses_its_marker_is_restored": 3,
    "hostile/test_first_contact.py::test_altered_texts_are_one_finding_and_not_rewritten": 6,
    "hostile/test_writes.py::test_the_exit_code_shows_the_result_of_writes": 6,
    "cxone/test_access_hosts.py::test_secrets_that_a_login_step_repeats_are_not_shown": 3,
    "behaviour/test_difference.py::test_regions_are_sound_complete_and_disjoint": 6,
    "checks/test_adequacy_command.py::test_written_tests_pass_and_none_is_redundant": 6,
    "behaviour/test_rule_facts.py::test_facts_are_exactly_right": 6,
    "behaviour/test_order.py::test_every_part_of_every_wave_is_safe": 6,
    "behaviour/test_rows.py::test_rows_of_grown_pairs_are_exact": 6,
    "behaviour/test_rows.py::test_rows_of_tangled_pairs_are_exact": 6,
    "cxone/test_client.py::test_a_thousand_calls_share_a_token_with_any_lifetime": 6,
    "render/test_comment_limits.py::test_each_level_has_the_main_parts": 6,
    "apply/test_convergence.py::test_every_pair_converges_and_stays": 6,
    "plan/test_drift.py::test_drift_against_a_plain_evaluator": 6,
    "export/test_update_manifest.py::test_every_field_of_every_rule_of_the_bank_can_be_kept": 6,
    "manifest/test_hostile_manifests.py::test_errors_of_many_rules_are_reported_quickly": 6,
    "manifest/test_hostile_manifests.py::test_no_file_takes_long": 6,
    "plan/test_odd_live_rules.py::test_no_command_raises_for_any_odd_rule": 6,
    "cxone/test_rate_limiter.py::test_a_lower_limit_is_learnt_from_429s": 6,
    "cxone/test_rate_refusals.py::test_429s_from_other_clients_at_most_double_the_time": 6,
    "cli/test_secrets.py::test_no_command_repeats_a_secret": 6,
    "cli/test_secrets.py::test_a_secret_repeated_by_a_server_is_redacted": 6,
    "plan/test_traffic_shares_generated.py::test_shares_hold_for_every_completion_of_the_sample": 6,
    "project/test_start_up.py::test_an_interrupt_during_the_start_is_one_document": 6,
    "project/test_start_up.py::test_an_interrupt_during_the_start_is_one_sentence": 6,
    "desired/test_substitution.py::test_memory_stays_bounded_with_any_variables": 6,
    "cli/test_terminal.py::test_no_line_is_longer_than_the_terminal": 3,
    "journal/test_undo_generated.py::test_the_next_run_completes_an_undo_after_a_fault_at_any_request": 6,
    "journal/test_undo_generated.py::test_an_interrupted_run_is_undone_as_far_as_it_came": 6,
    "journal/test_undo_generated.py::test_an_undo_restores_the_state_before_the_run": 6,
    "cli/test_usage.py::test_an_invalid_command_line_is_refused_in_a_sentence": 3,
    "behaviour/test_value_types.py::test_a_difference_among_known_types_is_exact": 6,
}
"""Slow cases of these are many and alike: `make test-all` runs one in so many of them, `make campaign` all."""


def is_left_out(path: str) -> bool:
    """Return whether the fast tier has nothing of a file. `path` is relative to tests/."""
    return any(PARTS.get(part) == 0 for part in _parts(path))


def mark_slow(items: Iterable[tuple[str, pytest.Item]]) -> list[pytest.Item]:
    """Mark the slow ones among tests, each with its file relative to tests/, in the order of their collection.

    Returns those that are left to `make campaign`.
    """
    seen: Counter[str] = Counter()
    left: list[pytest.Item] = []
    for path, item in items:
        test = f"{path}::{item.name.partition('[')[0]}"
        for part in (*_parts(path), test):
            seen[part] += 1
            if seen[part] > PARTS.get(part, seen[part]):
                item.add_marker(pytest.mark.slow)
        further = seen[test] - PARTS.get(test, 0) - 1
        if not FULL and further >= 0 and further % SHARES.get(test, 1):
            left.append(item)
    return left


def _parts(path: str) -> Iterator[str]:
    """Yield a file and the folders that it is in."""
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
