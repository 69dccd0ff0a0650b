//! Nium's answers as they come: every field optional; null and the string `"null"` are absent (contract section 7);
//! a field of another JSON type than expected is absent too, and never takes the others with it.

use serde_json::{Map, Value};

/// A JSON object of Nium's, read leniently.
#[derive(Clone, Copy)]
pub(super) struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    /// The object in `value`, if it is one.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// A field that was said: not missing, not null, not `"null"`, not an empty text.
    pub(super) fn said(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !is_absent(value))
    }

    /// A text; numbers and booleans are read as text too.
    pub(super) fn text(self, name: &str) -> Option<String> {
        text_of(self.0.get(name)?)
    }

    /// A boolean, also as the text `true` or `false`.
    pub(super) fn flag(self, name: &str) -> Option<bool> {
        match self.said(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            Value::String(_) | Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// An object that holds something.
    pub(super) fn object(self, name: &str) -> Option<Object<'a>> {
        Object::of(self.said(name)?).filter(|object| !object.0.is_empty())
    }

    /// The items of a list; empty when there is none.
    pub(super) fn items(self, name: &str) -> &'a [Value] {
        self.said(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Every field with its value.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0.iter()
    }
}

/// A text that was said, wherever it stands.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        value if is_absent(value) => None,
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty() || text.trim().eq_ignore_ascii_case("null"),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}
