//! The codes of what can be wrong with a config. They stay as they are; texts may change.

use std::fmt;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// The config can be used, but somebody should look.
    Warning,
}

impl Severity {
    /// Its name in outputs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal, $severity:ident, $about:literal;)*) => {
        /// What is wrong with a config.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])+ $name,)* }

        impl Code {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its stable name.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The one of this stable name.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.word() == word)
            }

            /// What it means, in a line.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// A file is not there, not readable, too large or not text.
    Unreadable = "PS0100", Error, "a config file cannot be read, is too large or is not UTF-8";
    /// Not TOML.
    Syntax = "PS0101", Error, "a config file, or a value on the command line, is not valid TOML";
    /// Tables within tables within tables.
    TooDeep = "PS0102", Error, "values are nested too deep";
    /// No such section.
    UnknownSection = "PS0103", Error, "no section has this name";
    /// No such plug-in.
    UnknownPlugin = "PS0105", Error, "no plug-in of the kind has this name";
    /// `use` is missing.
    MissingUse = "PS0106", Error, "a section of plug-ins does not say which one to use";
    /// An instance's name cannot be used.
    BadInstance = "PS0107", Error, "an instance's name is not allowed, or there are too many";
    /// `[telemetry]` instead of `[telemetry.NAME]`.
    Unnamed = "PS0108", Error, "a kind of which there may be many needs a named table, such as [telemetry.NAME]";
    /// Text where a number is expected, and so on.
    WrongType = "PS0110", Error, "a value is of the wrong type";
    /// Not one of the allowed values.
    NotAChoice = "PS0111", Error, "a value is not one of those allowed";
    /// No such option.
    UnknownOption = "PS0112", Error, "no option has this name";
    /// TOML gave it to the section above.
    Misplaced = "PS0113", Error, "a section's name is used as an option, because of the header above it";
    /// An option that has no default.
    MissingOption = "PS0114", Error, "an option that has no default is missing";
    /// An address that is none, and so on.
    BadFormat = "PS0115", Error, "a text is not of the expected form";
    /// What the plug-in or section itself found.
    Refused = "PS0120", Error, "the plug-in or section cannot use its options";
    /// The instance could not be made.
    NotBuilt = "PS0121", Error, "an instance cannot be made of its options";
    /// Parts that do not go together.
    Conflict = "PS0122", Error, "two parts of the config do not go together";
    /// Too small or too large.
    OutOfRange = "PS0130", Error, "a number, or the length of a text or list, is out of range";
    /// Neither text nor `{ env = .. }` nor `{ file = .. }`.
    BadSecret = "PS0140", Error, "a secret is neither a text nor { env = \"NAME\" } nor { file = \"PATH\" }";
    /// The variable of a secret.
    SecretNotSet = "PS0141", Error, "the environment variable of a secret is not set";
    /// The file of a secret.
    SecretUnreadable = "PS0142", Error, "the file of a secret cannot be read";
    /// An override that cannot be understood.
    BadOverride = "PS0150", Error, "an environment variable or --set is not SECTION__KEY or a.b=value";
    /// In none of the allowed folders.
    LibraryNotFound = "PS0201", Error, "a library is in none of the allowed folders";
    /// Others could change it.
    LibraryUnsafe = "PS0202", Error, "others than its owner could change a library or its folder";
    /// Not the file that is meant.
    LibraryUntrusted = "PS0203", Error, "a library is not the file that was pinned, nor signed by a trusted key";
    /// Another version of the interface.
    LibraryIncompatible = "PS0204", Error, "a library speaks another version of the interface";
    /// The system does not load it.
    LibraryRefused = "PS0205", Error, "the system's loader refuses a library";
    /// No plug-in.
    LibraryForeign = "PS0206", Error, "a library is not one of plug-ins";
    /// Nonsense about itself.
    LibraryMalformed = "PS0207", Error, "what a library says about itself makes no sense";
    /// It took the process that tried it along.
    LibraryCrashed = "PS0208", Error, "a library crashed or hung the process that tried it";
    /// Not in this build.
    LibraryUnsupported = "PS0209", Error, "this build cannot load libraries";
    /// Two of the same kind and name.
    LibraryClash = "PS0210", Error, "a library has a plug-in of a kind and name that there is already";
    /// Will go.
    Deprecated = "PS0190", Warning, "a plug-in is deprecated";
    /// A secret that everybody who sees the file sees.
    PlainSecret = "PS0191", Warning, "a secret is written into a config file or the command line";
    /// Code that nobody has looked at.
    Unpinned = "PS0192", Warning, "plug-ins are loaded without a check of what is in their files";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
