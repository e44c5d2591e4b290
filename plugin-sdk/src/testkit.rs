//! Conformance suites: the rules that every plug-in of a kind keeps, whoever wrote it.
//!
//! A plug-in's `tests/conformance.rs` is one line for each plug-in:
//!
//! ```ignore
//! peerstream_sdk::strategy_suite!(my_plugin::Mine);
//! ```
//!
//! which becomes a test for each rule. `peerstream plugin test FILE` runs the same rules through the binary interface. A rule that
//! is broken says what it is, why it is there, and what was found, with the seed that finds it again.

pub mod admission;
pub mod archive;
pub mod casebook;
pub mod chance;
pub mod compliance;
pub mod config;
pub mod ladder;
pub mod life;
pub mod overlay;
pub mod strategy;
pub mod telemetry;

use std::fmt;

/// A rule of a kind, checked on instances that `M` makes.
pub struct Rule<M: ?Sized> {
    /// A sentence with underscores, as a test is named.
    pub name: &'static str,
    /// Why it is there.
    pub why: &'static str,
    /// Finds out.
    pub check: fn(&M) -> Result<(), String>,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The rule's name.
    pub rule: &'static str,
    /// Why it is there.
    pub why: &'static str,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}` is broken: {}\n  why it is there: {}", self.rule, self.found, self.why)
    }
}

impl<M: ?Sized> Rule<M> {
    /// Checks the rule.
    pub fn run(&self, make: &M) -> Result<(), Broken> {
        (self.check)(make).map_err(|found| Broken { rule: self.name, why: self.why, found })
    }
}

/// Finds a rule by its name; for the macros.
#[doc(hidden)]
pub fn run<M: ?Sized>(rules: &[Rule<M>], name: &str, make: &M) {
    let rule = rules.iter().find(|rule| rule.name == name).expect("the macros name rules that are there");
    if let Err(broken) = rule.run(make) {
        panic!("{broken}");
    }
}

/// Builds an instance with its default options, for the macros.
#[doc(hidden)]
pub fn build<P: peerstream_traits::Plugin>() -> P {
    let context = peerstream_traits::BuildContext::new("conformance");
    P::build(P::Config::default(), &context).expect("a plug-in can be built with its default options")
}

/// Runs one rule.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a test has a thread to run in").block_on(future)
}

/// One test for each rule.
#[doc(hidden)]
#[macro_export]
macro_rules! suite {
    ($kind:ident, $make:expr, [$($rule:ident),+ $(,)?]) => {
        $(
            #[test]
            fn $rule() {
                $crate::testkit::run($crate::testkit::$kind::RULES, stringify!($rule), &$make);
            }
        )+

        #[test]
        fn no_rule_is_left_out() {
            let listed = [$(stringify!($rule)),+];
            let rules: Vec<_> = $crate::testkit::$kind::RULES.iter().map(|rule| rule.name).collect();
            assert_eq!(rules, listed);
        }
    };
}

/// The tests of a plug-in's options, which all kinds have.
#[macro_export]
macro_rules! config_suite {
    ($plugin:ty) => {
        mod config {
            use super::*;

            $crate::suite!(
                config,
                $crate::testkit::config::of::<$plugin>(),
                [
                    the_default_options_can_be_used,
                    the_schema_knows_every_default,
                    an_unknown_option_is_refused,
                    every_option_is_documented,
                    the_name_is_lower_case_with_dashes,
                ]
            );
        }
    };
}

/// The tests of a tree strategy.
#[macro_export]
macro_rules! strategy_suite {
    ($plugin:ty) => {
        $crate::config_suite!($plugin);
        $crate::suite!(
            strategy,
            $crate::testkit::strategy::of::<$plugin>(),
            [
                the_same_events_give_the_same_plans,
                every_plan_is_valid_while_people_come_and_go,
                everybody_gets_a_place_when_the_coming_and_going_ends,
                nobody_moves_while_nothing_happens,
                any_overlay_can_be_taken_over,
                nonsense_does_no_harm,
                work_is_bounded,
            ]
        );
    };
}

/// The tests of a ladder policy.
#[macro_export]
macro_rules! ladder_suite {
    ($plugin:ty) => {
        $crate::config_suite!($plugin);
        $crate::suite!(
            ladder,
            $crate::testkit::ladder::of::<$plugin>(),
            [
                only_the_leaves_it_was_told_of_are_concerned,
                the_same_questions_get_the_same_answers,
                those_without_a_place_do_not_wait_for_ever,
            ]
        );
    };
}

/// The tests of a telemetry sink. The expression makes an instance and may set up what it needs: a folder, a server.
#[macro_export]
macro_rules! telemetry_suite {
    ($plugin:ty, $make:expr) => {
        $crate::config_suite!($plugin);
        $crate::suite!(
            telemetry,
            $crate::testkit::telemetry::of($make),
            [
                it_stops_without_a_start_and_twice,
                it_takes_what_it_is_interested_in,
                an_empty_batch_is_nothing,
                it_can_be_flushed_at_any_time,
            ]
        );
    };
}

/// The tests of an archive. The expression makes an instance on a fresh place each time it is called.
#[macro_export]
macro_rules! archive_suite {
    ($plugin:ty, $make:expr) => {
        $crate::config_suite!($plugin);
        $crate::suite!(
            archive,
            $crate::testkit::archive::of($make),
            [
                it_stops_without_a_start_and_twice,
                what_is_put_twice_is_kept_once,
                another_payload_under_the_same_number_is_a_conflict,
                the_same_broadcast_is_the_same_recording,
                gaps_are_no_reason_to_fail,
                a_recording_can_end_twice,
                what_it_can_do_it_does_and_nothing_else,
            ]
        );
    };
}

/// The tests of a casebook. The expression makes a place each time it is called: a function that opens it, again and again.
#[macro_export]
macro_rules! casebook_suite {
    ($make:expr) => {
        $crate::suite!(
            casebook,
            $crate::testkit::casebook::of($make),
            [
                what_was_kept_is_there_when_it_is_opened_again,
                an_entry_out_of_turn_is_refused_and_nothing_of_it_stays,
                one_host_at_a_time_has_it_open,
                drafts_are_found_by_their_mail_and_expire_with_their_letters,
                cases_come_by_lane_and_by_what_is_asked_for,
                what_is_erased_is_gone_and_the_log_stays,
                letters_wait_with_what_causes_them_until_they_are_taken,
                letters_that_were_given_up_are_remembered_up_to_a_bound,
                letters_that_were_sent_are_remembered_with_their_case_up_to_a_bound,
                a_log_that_another_key_has_begun_or_gone_on_with_is_known,
                what_no_column_can_hold_is_nobodys,
            ]
        );
    };
}

/// The tests of a compliance handler. The expression makes an instance on a fresh place each time it is called.
#[macro_export]
macro_rules! compliance_suite {
    ($plugin:ty, $make:expr) => {
        $crate::config_suite!($plugin);
        $crate::suite!(
            compliance,
            $crate::testkit::compliance::of($make),
            [
                it_stops_without_a_start_and_twice,
                an_incomplete_notice_never_acts,
                the_same_case_gets_the_same_decision,
                it_hears_of_every_step,
            ]
        );
    };
}

/// The tests of an admission policy.
#[macro_export]
macro_rules! admission_suite {
    ($plugin:ty, $make:expr) => {
        $crate::config_suite!($plugin);
        $crate::suite!(
            admission,
            $crate::testkit::admission::of($make),
            [
                it_stops_without_a_start_and_twice,
                nonsense_is_not_let_in_unless_everybody_is,
                who_shows_nothing_is_told_what_to_do,
                many_can_ask_at_once,
            ]
        );
    };
}
