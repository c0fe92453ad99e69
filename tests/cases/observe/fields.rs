//! Protobuf taken apart without its schema: what arrives is read by other means than it was made.

/// A field's value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A number, of any width.
    Number(u64),
    /// Bytes: a text, or a message.
    Bytes(Vec<u8>),
}

/// A message's fields, in their order.
#[derive(Debug, Clone)]
pub(super) struct Fields(Vec<(u64, Value)>);

impl Fields {
    /// Takes a message apart; panics where it is none.
    pub(super) fn of(mut bytes: &[u8]) -> Fields {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Number(varint(&mut bytes)),
                1 => Value::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let length = varint(&mut bytes);
                    Value::Bytes(take(&mut bytes, usize::try_from(length).unwrap()).to_vec())
                }
                wire => panic!("no wire type of ours: {wire}"),
            };
            fields.push((key >> 3, value));
        }
        Fields(fields)
    }

    /// All messages with this number.
    pub(super) fn all(&self, number: u64) -> Vec<Fields> {
        let bytes = self.bytes(number).into_iter();
        bytes.map(|bytes| Fields::of(&bytes)).collect()
    }

    /// The only one.
    pub(super) fn one(&self, number: u64) -> Fields {
        let [one] = &self.all(number)[..] else {
            panic!("not one {number}: {self:?}");
        };
        one.clone()
    }

    pub(super) fn text(&self, number: u64) -> String {
        let bytes = self.bytes(number).pop().unwrap_or_default();
        String::from_utf8(bytes).unwrap()
    }

    pub(super) fn number(&self, number: u64) -> u64 {
        let found = self.0.iter().find_map(|(at, value)| match value {
            Value::Number(value) if *at == number => Some(*value),
            _ => None,
        });
        found.unwrap_or(0)
    }

    pub(super) fn bytes(&self, number: u64) -> Vec<Vec<u8>> {
        let all = self.0.iter().filter_map(|(at, value)| match value {
            Value::Bytes(bytes) if *at == number => Some(bytes.clone()),
            _ => None,
        });
        all.collect()
    }

    /// The value of an attribute among those with this number, as text.
    pub(super) fn attribute(&self, number: u64, key: &str) -> Option<String> {
        let all = self.all(number);
        let value = all.iter().find(|it| it.text(1) == key)?.one(2);
        let text = value.bytes(1).pop();
        let number = || value.number(3).to_string();
        Some(text.map_or_else(number, |text| String::from_utf8(text).unwrap()))
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
    }
    panic!("no number ends here");
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}
