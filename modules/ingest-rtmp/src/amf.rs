//! AMF0, in which RTMP's commands and metadata are written: bounded, never a panic.

/// Values nest no deeper.
const DEPTH_MAX: usize = 8;
/// Values in a message, those inside others counted.
const VALUES_MAX: usize = 1024;

const NUMBER: u8 = 0;
const BOOL: u8 = 1;
const TEXT: u8 = 2;
const OBJECT: u8 = 3;
const NULL: u8 = 5;
const UNDEFINED: u8 = 6;
const REFERENCE: u8 = 7;
const MAP: u8 = 8;
const END: u8 = 9;
const LIST: u8 = 10;
const DATE: u8 = 11;
const LONG_TEXT: u8 = 12;
const UNSUPPORTED: u8 = 13;
const XML: u8 = 15;
const TYPED: u8 = 16;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number; dates are numbers too.
    Number(f64),
    /// A truth.
    Bool(bool),
    /// A text; what is no UTF-8 in it is replaced.
    Text(String),
    /// Names and values, in order.
    Object(Vec<(String, Value)>),
    /// Values, in order.
    List(Vec<Value>),
    /// Nothing, or nothing that anybody needs.
    Null,
}

impl Value {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The value of this name, if it is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// All values of a message, up to where they cannot be read any more.
pub fn read_all(bytes: &[u8]) -> Vec<Value> {
    let mut reader = Reader { bytes, left: VALUES_MAX };
    std::iter::from_fn(|| if reader.bytes.is_empty() { None } else { reader.value(0) }).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Values that may still come.
    left: usize,
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.bytes.split_first_chunk()?;
        self.bytes = tail;
        Some(*head)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(len)?;
        self.bytes = tail;
        Some(head)
    }

    fn short_text(&mut self) -> Option<String> {
        let len = u16::from_be_bytes(self.array()?);
        self.take(len.into()).map(text)
    }

    fn long_text(&mut self) -> Option<String> {
        let len = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(len).ok()?).map(text)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        if depth > DEPTH_MAX {
            return None;
        }
        let [kind] = self.array()?;
        Some(match kind {
            NUMBER => Value::Number(f64::from_be_bytes(self.array()?)),
            BOOL => Value::Bool(self.array::<1>()? != [0]),
            TEXT => Value::Text(self.short_text()?),
            LONG_TEXT | XML => Value::Text(self.long_text()?),
            OBJECT => Value::Object(self.fields(depth)?),
            MAP => {
                self.array::<4>()?;
                Value::Object(self.fields(depth)?)
            }
            TYPED => {
                self.short_text()?;
                Value::Object(self.fields(depth)?)
            }
            LIST => {
                let count = u32::from_be_bytes(self.array()?);
                Value::List((0..count).map(|_| self.value(depth + 1)).collect::<Option<_>>()?)
            }
            DATE => {
                let number = f64::from_be_bytes(self.array()?);
                self.array::<2>()?;
                Value::Number(number)
            }
            REFERENCE => {
                self.array::<2>()?;
                Value::Null
            }
            NULL | UNDEFINED | UNSUPPORTED => Value::Null,
            _ => return None,
        })
    }

    fn fields(&mut self, depth: usize) -> Option<Vec<(String, Value)>> {
        let mut fields = Vec::new();
        loop {
            // Some encoders forget the end of the last object.
            if self.bytes.is_empty() {
                return Some(fields);
            }
            let name = self.short_text()?;
            if name.is_empty() && self.bytes.first() == Some(&END) {
                self.array::<1>()?;
                return Some(fields);
            }
            fields.push((name, self.value(depth + 1)?));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes values, texts of up to 65,535 bytes.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => {
            out.push(NUMBER);
            out.extend(number.to_be_bytes());
        }
        Value::Bool(truth) => out.extend([BOOL, u8::from(*truth)]),
        Value::Text(text) => {
            out.push(TEXT);
            write_text(out, text);
        }
        Value::Object(fields) => {
            out.push(OBJECT);
            for (name, value) in fields {
                write_text(out, name);
                write(out, value);
            }
            out.extend([0, 0, END]);
        }
        Value::List(values) => {
            out.push(LIST);
            out.extend((values.len() as u32).to_be_bytes());
            values.iter().for_each(|value| write(out, value));
        }
        Value::Null => out.push(NULL),
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(|number| Value::Number(number.into())),
            any::<bool>().prop_map(Value::Bool),
            "[a-z]{0,9}".prop_map(Value::Text),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(("[a-z]{1,9}", inner.clone()), 0..6).prop_map(Value::Object),
                prop::collection::vec(inner, 0..6).prop_map(Value::List),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(any_value(), 0..4)) {
            let mut bytes = Vec::new();
            values.iter().for_each(|value| write(&mut bytes, value));
            prop_assert_eq!(read_all(&bytes), values);
        }

        #[test]
        fn any_bytes_are_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read_all(&bytes).len() <= bytes.len());
        }
    }

    #[test]
    fn lists_that_claim_to_be_endless_and_towers_of_lists_end() {
        assert_eq!(read_all(&[LIST, 0xff, 0xff, 0xff, 0xff, NULL]), []);
        let tower = [LIST, 0, 0, 0, 1].repeat(200_000);
        assert_eq!(read_all(&tower), []);
    }

    #[test]
    fn a_map_without_its_end_is_read() {
        let bytes = [&[MAP, 0, 0, 0, 1, 0, 1, b'a', NUMBER][..], &1.0f64.to_be_bytes()].concat();
        assert_eq!(read_all(&bytes), [Value::Object(vec![("a".into(), Value::Number(1.0))])]);
    }
}
