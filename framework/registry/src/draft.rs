//! A config that was read, and what came of its check.

use peerstream_traits::PluginConfig;

use crate::check::{Checker, nearest_setting};
use crate::code::Code;
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Report};
use crate::layers::Layers;
use crate::layout::{Layout, Shape};
use crate::registry::Registry;
use crate::schema::{Schema, filled};
use crate::tree::Setting;
use crate::walk::{Scope, walk};

/// A config that was read and not yet checked.
#[derive(Debug)]
pub struct Draft {
    root: Setting,
    problems: Vec<Diagnostic>,
}

/// What came of a check.
#[derive(Debug)]
pub struct Outcome {
    /// All that is wrong, in order.
    pub report: Report,
    /// The config; of use only if there are no errors.
    pub config: Config,
}

impl Outcome {
    /// Adds something that only the host can see, about what is at a path such as `strategy.fallback`.
    pub fn add(&mut self, code: Code, path: &str, message: impl Into<String>) {
        let setting = nearest_setting(&self.config.root, path);
        self.report.diagnostics.push(Diagnostic::at(code, setting, message.into()));
        self.report.sort();
    }

    /// The config, or what is wrong with it; warnings do not count.
    pub fn into_result(self) -> Result<Config, Report> {
        if self.report.errors() == 0 { Ok(self.config) } else { Err(self.report) }
    }
}

impl Draft {
    /// Of these layers.
    pub fn new(layers: Layers) -> Self {
        Self { root: layers.root, problems: layers.problems }
    }

    /// A section of the host's before the check, for what must be known to begin it, such as which libraries are loaded. The
    /// default if it is wrong, which the check then tells.
    pub fn peek<T: PluginConfig>(&self, section: &str) -> T {
        let Some(setting) = self.root.at([section]) else { return T::default() };
        let shape = Shape::of::<T>();
        let mut setting = setting.clone();
        let scope = Scope::of(String::new(), section, &shape.defaults);
        let fine = walk(Schema::new(&shape.schema), &mut setting, &scope, &mut Vec::new());
        let given = filled(Schema::new(&shape.schema), &shape.defaults, Some(&setting.to_json()));
        let read = if fine && (shape.check)(&given).is_empty() { serde_json::from_value(given).ok() } else { None };
        read.unwrap_or_default()
    }

    /// Checks all of it.
    pub fn check(self, registry: &Registry, layout: &Layout) -> Outcome {
        let mut checker = Checker::new(registry, layout, self.root, self.problems);
        // What a file that cannot be read says is not known: everything else would be guesses.
        let unread = |problem: &Diagnostic| matches!(problem.code, Code::Syntax | Code::Unreadable);
        if !checker.problems.iter().any(unread) {
            checker.check();
        }
        let mut report = Report { diagnostics: checker.problems };
        report.sort();
        Outcome { report, config: checker.config }
    }
}
