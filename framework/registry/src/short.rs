//! A plug-in with options in one word, as flags take it: `dumbbell:standby=false,roots=1`.

use peerstream_traits::{Kind, PluginConfig};

use crate::code::Severity;
use crate::draft::Draft;
use crate::layers::Layers;
use crate::layout::Layout;
use crate::registry::Registry;
use crate::spec::Spec;

impl Registry {
    /// The instance that `NAME` or `NAME:OPTION=VALUE,OPTION=VALUE` wants, or all that is wrong with it in one line. `flag` is
    /// what the user knows it as, such as `--strategy`; `T` what the framework can be told about such instances.
    pub fn short<T: PluginConfig>(&self, kind: Kind, flag: &str, text: &str) -> Result<Spec, String> {
        let wrong = |why: String| format!("{flag} `{text}`: {why}");
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        let mut layers = Layers::new();
        layers.flag(flag, &[kind.word(), "use"], name);
        for option in split(options).into_iter().filter(|option| !option.is_empty()) {
            if !option.contains('=') {
                return Err(wrong(format!("`{option}`: expected NAME or NAME:OPTION=VALUE,OPTION=VALUE")));
            }
            layers.set(&format!("{kind}.config.{}", option.trim()));
        }
        let outcome = Draft::new(layers).check(self, &Layout::new().slot::<T>(kind, None));
        let errors = outcome.report.diagnostics.iter().filter(|found| found.severity() == Severity::Error);
        let errors: Vec<_> = errors.map(|found| found.line()).collect();
        match outcome.config.specs().first() {
            Some(spec) if errors.is_empty() => Ok(spec.clone()),
            _ => Err(wrong(errors.join("; "))),
        }
    }
}

/// Splits at commas that are not within brackets or quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted) = (0_i32, false);
    let pieces = text.split(move |letter: char| {
        match letter {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
        letter == ',' && !quoted && depth == 0
    });
    pieces.collect()
}
