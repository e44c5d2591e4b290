//! Sound: its chromaprint, 32 bits for each eighth of a second that say how the notes change.

use std::path::Path;

use crate::align::Prints;
use crate::decode::{Decoder, Problem};

/// What computes the prints, with its version; none when this build cannot.
pub(crate) const TOOL: Option<&str> =
    if cfg!(feature = "sound") { Some("rusty-chromaprint 0.3.0, preset 2") } else { None };

#[cfg(not(feature = "sound"))]
pub(crate) use absent::{SORT, prints};
#[cfg(feature = "sound")]
pub(crate) use chromaprint::{SORT, prints};

#[cfg(not(feature = "sound"))]
mod absent {
    use super::*;
    use crate::align::Sort;

    pub(crate) const SORT: Sort = Sort { per_second: 8.0, bits: 32, unrelated: 12, match_max: 0.0, unclear_max: 0.0 };

    pub(crate) fn prints(_: &Decoder, _: &Path) -> Result<Prints, Problem> {
        Err(Problem::new("this build compares no sound: build it with the feature `compare-sound`"))
    }
}

#[cfg(feature = "sound")]
mod chromaprint {
    use rusty_chromaprint::{Configuration, Fingerprinter};

    use super::*;
    use crate::align::Sort;

    /// What chromaprint works with, in samples a second.
    const SAMPLE_RATE: u32 = 11_025;
    /// A print for each so many samples.
    const SAMPLES_PER_PRINT: usize = 1_365;
    /// A print is made of what so many prints last, from its own place on.
    const REACH: usize = 21;
    /// Sound that never is louder than this, of 32767, is silence.
    const SILENCE: u16 = 64;

    /// Unrelated sound differs in 0.33 of its bits and more, the same after coding in 0.01 to 0.05.
    pub(crate) const SORT: Sort = Sort {
        per_second: SAMPLE_RATE as f64 / SAMPLES_PER_PRINT as f64,
        bits: 32,
        unrelated: 12,
        match_max: 0.125,
        unclear_max: 0.25,
    };

    /// The prints of a file's sound.
    pub(crate) fn prints(decoder: &Decoder, file: &Path) -> Result<Prints, Problem> {
        let rate = SAMPLE_RATE.to_string();
        let output = ["-map", "0:a:0", "-ac", "1", "-ar", &rate, "-f", "s16le"];
        let count_max = (SORT.per_second * decoder.seconds_max as f64) as u64;
        let mut printer = Printer::new();
        let note = decoder.read(file, &output, 2 * SAMPLES_PER_PRINT, count_max, |bytes| {
            let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
            printer.take(&samples.collect::<Vec<_>>());
        })?;
        Ok(Prints { prints: printer.finish(), note })
    }

    /// Makes prints of samples; takes [`SAMPLES_PER_PRINT`] at a time.
    struct Printer {
        chromaprint: Fingerprinter,
        loud: Vec<bool>,
    }

    impl Printer {
        fn new() -> Self {
            let mut chromaprint = Fingerprinter::new(&Configuration::preset_test2());
            chromaprint.start(SAMPLE_RATE, 1).expect("this rate and one channel are always taken");
            Self { chromaprint, loud: Vec::new() }
        }

        fn take(&mut self, samples: &[i16]) {
            self.loud.push(samples.iter().any(|sample| sample.unsigned_abs() > SILENCE));
            self.chromaprint.consume(samples);
        }

        fn finish(mut self) -> Vec<Option<u64>> {
            self.chromaprint.finish();
            let len = self.loud.len();
            let is_loud = |at: usize| self.loud[at.min(len)..(at + REACH).min(len)].contains(&true);
            let prints = self.chromaprint.fingerprint().iter().enumerate();
            prints.map(|(at, print)| is_loud(at).then_some(u64::from(*print))).collect()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn of_samples(samples: &[i16]) -> Vec<Option<u64>> {
            let mut printer = Printer::new();
            samples.chunks(SAMPLES_PER_PRINT).for_each(|chunk| printer.take(chunk));
            printer.finish()
        }

        #[test]
        fn silence_has_no_prints_and_sound_has_eight_a_second() {
            let silence = of_samples(&vec![0; SAMPLE_RATE as usize * 20]);
            assert!(silence.len() > 100 && silence.iter().all(Option::is_none));
            let saw: Vec<i16> = (0..u64::from(SAMPLE_RATE) * 20).map(|at| (at * at % 9_973) as i16).collect();
            assert!(of_samples(&saw).iter().all(Option::is_some));
            assert_eq!(of_samples(&[]), []);
        }
    }
}
