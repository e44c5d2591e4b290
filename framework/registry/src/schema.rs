//! A JSON Schema as the framework reads it: what `schemars` makes of ordinary structs and enums.

use serde_json::{Map, Value};

use peerstream_traits::Secret;

/// References that are followed to find a schema.
const HOPS_MAX: usize = 16;

/// A schema, and the one it is a part of.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    root: &'a Value,
    here: &'a Value,
}

/// The least and the most that is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// The least.
    pub least: Option<f64>,
    /// The most.
    pub most: Option<f64>,
}

impl Range {
    /// How a number misses it, and what is expected; none if it is within.
    pub fn miss(self, number: f64) -> Option<(String, String)> {
        let miss = match (self.contains(number), self.least, self.most) {
            (true, _, _) => return None,
            (false, Some(_), Some(_)) => format!("out of range {}", self.words()),
            (false, Some(_), None) => "too small".to_owned(),
            (false, _, _) => "too large".to_owned(),
        };
        Some((miss, self.words()))
    }

    /// Whether a number is within.
    pub fn contains(self, number: f64) -> bool {
        self.least.is_none_or(|least| number >= least) && self.most.is_none_or(|most| number <= most)
    }

    /// Such as `1–8`; empty when everything goes.
    pub fn words(self) -> String {
        match (self.least, self.most) {
            (None, None) => String::new(),
            (Some(least), None) => format!("at least {least}"),
            (None, Some(most)) => format!("at most {most}"),
            (Some(least), Some(most)) => format!("{least}–{most}"),
        }
    }
}

impl<'a> Schema<'a> {
    /// A whole schema.
    pub fn new(root: &'a Value) -> Self {
        Self { root, here: root }
    }

    fn with(self, here: &'a Value) -> Self {
        Self { here, ..self }
    }

    fn get(self, key: &str) -> Option<&'a Value> {
        self.here.get(key)
    }

    fn text(self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    /// The schema meant: references followed, `Option` taken off.
    pub fn resolve(self) -> Self {
        let mut schema = self;
        for _ in 0..HOPS_MAX {
            let Some(next) = schema.reference().or_else(|| schema.only_variant()) else { break };
            schema = next;
        }
        schema
    }

    fn reference(self) -> Option<Self> {
        let pointer = self.text("$ref")?.strip_prefix('#')?;
        self.root.pointer(pointer).map(|here| self.with(here))
    }

    /// The one variant besides null, or the one part of all.
    fn only_variant(self) -> Option<Self> {
        let list = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| self.get(key)?.as_array())?;
        let mut kept = list.iter().filter(|variant| variant.get("type").and_then(Value::as_str) != Some("null"));
        match (kept.next(), kept.next()) {
            (Some(only), None) => Some(self.with(only)),
            _ => None,
        }
    }

    /// What it is for.
    pub fn about(self) -> &'a str {
        self.text("description").or_else(|| self.resolve().text("description")).unwrap_or_default()
    }

    /// What a value may look like.
    pub fn example(self) -> Option<&'a Value> {
        self.get("examples")?.as_array()?.first()
    }

    /// The fields of a table with known keys, which then is closed.
    pub fn properties(self) -> Option<&'a Map<String, Value>> {
        self.get("properties")?.as_object()
    }

    /// Whether no other keys are allowed than those it knows.
    pub fn is_closed(self) -> bool {
        self.properties().is_some() || self.get("additionalProperties") == Some(&Value::Bool(false))
    }

    /// The schema of a field.
    pub fn property(self, key: &str) -> Option<Self> {
        self.properties()?.get(key).map(|here| self.with(here))
    }

    /// Fields with their schemas.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.properties().into_iter().flatten().map(move |(key, here)| (key.as_str(), self.with(here)))
    }

    /// The schema of the fields of a table with any keys.
    pub fn additional(self) -> Option<Self> {
        self.get("additionalProperties").filter(|schema| schema.is_object()).map(|here| self.with(here))
    }

    /// Keys that must be there.
    pub fn required(self) -> impl Iterator<Item = &'a str> {
        self.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// The schema of a list's items.
    pub fn items(self) -> Option<Self> {
        self.get("items").map(|here| self.with(here))
    }

    /// Its types; empty when any will do.
    pub fn types(self) -> Vec<&'a str> {
        let types = match self.get("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ if self.properties().is_some() => vec!["object"],
            _ => Vec::new(),
        };
        types.into_iter().filter(|name| *name != "null").collect()
    }

    /// The variants of an enum with several shapes.
    pub fn variants(self) -> Option<impl Iterator<Item = Self> + Clone> {
        let list = ["oneOf", "anyOf"].iter().find_map(|key| self.get(key)?.as_array())?;
        Some(list.iter().map(move |here| self.with(here).resolve()))
    }

    /// The values allowed, if they are a few known ones.
    pub fn choices(self) -> Option<Vec<&'a Value>> {
        if let Some(value) = self.get("const") {
            return Some(vec![value]);
        }
        if let Some(values) = self.get("enum").and_then(Value::as_array) {
            return Some(values.iter().filter(|value| !value.is_null()).collect());
        }
        let variants = self.variants()?;
        let lists: Option<Vec<_>> = variants.map(|variant| variant.resolve().choices()).collect();
        Some(lists?.concat())
    }

    /// The form of a text.
    pub fn format(self) -> Option<&'a str> {
        self.text("format")
    }

    /// Whether it must not be shown.
    pub fn is_secret(self) -> bool {
        self.resolve().format() == Some(Secret::FORMAT)
    }

    /// Whether there are secrets directly in it.
    pub fn holds_secrets(self) -> bool {
        self.fields().any(|(_, field)| field.is_secret())
    }

    /// The numbers allowed, by the schema or by the width of the type.
    pub fn range(self) -> Range {
        let (least, most) = match self.format() {
            Some("uint8") => (0.0, 255.0),
            Some("uint16") => (0.0, 65_535.0),
            Some("uint32") => (0.0, 4_294_967_295.0),
            Some("uint64" | "uint") => (0.0, f64::INFINITY),
            Some("int8") => (-128.0, 127.0),
            Some("int16") => (-32_768.0, 32_767.0),
            Some("int32") => (-2_147_483_648.0, 2_147_483_647.0),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        };
        let number = |key: &str| self.get(key).and_then(Value::as_f64);
        let least = number("minimum").or_else(|| number("exclusiveMinimum")).unwrap_or(least);
        let most = number("maximum").or_else(|| number("exclusiveMaximum")).unwrap_or(most);
        Range { least: Some(least).filter(|n| n.is_finite()), most: Some(most).filter(|n| n.is_finite()) }
    }

    /// How long a text or list may be.
    pub fn length(self) -> Range {
        let number = |keys: [&str; 2]| keys.iter().find_map(|key| self.get(key)?.as_f64());
        Range { least: number(["minLength", "minItems"]), most: number(["maxLength", "maxItems"]) }
    }

    /// What a value may be, in a few words: `integer 1–8`.
    pub fn words(self) -> String {
        let schema = self.resolve();
        if schema.is_secret() {
            return "secret".to_owned();
        }
        if let Some(choices) = schema.choices() {
            return list(choices.into_iter().map(quoted));
        }
        if let Some(variants) = schema.variants() {
            return list(variants.map(Self::words));
        }
        list(schema.types().into_iter().map(|name| schema.type_words(name)))
    }

    fn type_words(self, name: &str) -> String {
        match name {
            "integer" | "number" => format!("{name} {}", self.shown_range().words()).trim_end().to_owned(),
            "array" => match self.items().map(Self::words) {
                Some(items) if !items.is_empty() => format!("list of {items}"),
                _ => "list".to_owned(),
            },
            "object" => "table".to_owned(),
            "string" => self.format().and_then(format_words).unwrap_or("string").to_owned(),
            other => other.to_owned(),
        }
    }

    /// Without the bounds that nobody would exceed.
    fn shown_range(self) -> Range {
        let Range { least, most } = self.range();
        let most = most.filter(|most| *most < 4_294_967_295.0);
        let trivial = least == Some(0.0) && most.is_none();
        Range { least: least.filter(|_| !trivial), most }
    }
}

/// What texts of this form look like, if the framework knows it.
pub fn format_words(format: &str) -> Option<&'static str> {
    Some(match format {
        "socket-address" => "address and port, such as 0.0.0.0:8080 or [::]:8080",
        "ip" => "IP address",
        "ipv4" => "IPv4 address",
        "ipv6" => "IPv6 address",
        "sha256" => "64 hexadecimal digits",
        "file-name" => "name of a file without a folder",
        _ => return None,
    })
}

/// Whether a text is of this form; forms that the framework does not know are left to the plug-in.
pub fn has_format(text: &str, format: &str) -> bool {
    match format {
        "socket-address" => text.parse::<std::net::SocketAddr>().is_ok(),
        "ip" => text.parse::<std::net::IpAddr>().is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "sha256" => text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "file-name" => !text.is_empty() && !text.contains(['/', '\\']) && text != "." && text != "..",
        _ => true,
    }
}

/// A value as messages name it.
pub fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// `a, b or c`
pub fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// The options of a schema with what is not given taken from the defaults. Tables with known keys are filled up;
/// everything else is as given.
pub fn filled(schema: Schema<'_>, defaults: &Value, given: Option<&Value>) -> Value {
    let schema = schema.resolve();
    let Some(given) = given else {
        return if schema.is_secret() { Value::String(String::new()) } else { defaults.clone() };
    };
    let (Some(fields), Some(_)) = (given.as_object(), schema.properties()) else { return given.clone() };
    let mut all = fields.clone();
    for (key, field) in schema.fields() {
        if let Some(default) = defaults.get(key) {
            all.insert(key.to_owned(), filled(field, default, fields.get(key)));
        }
    }
    Value::Object(all)
}
