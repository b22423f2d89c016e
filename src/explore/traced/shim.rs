use std::fmt;
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(&'static str);
impl Label {
    pub fn new(text: &str) -> Self {
        use std::collections::BTreeSet;
        use std::sync::Mutex;
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut known = KNOWN.lock().unwrap();
        if let Some(label) = known.get(text) {
            return Self(label);
        }
        let label: &'static str = Box::leak(text.to_owned().into_boxed_str());
        known.insert(label);
        Self(label)
    }
    pub fn as_str(&self) -> &'static str {
        self.0
    }
}
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    Write,
    Add,
    Acquire,
    Release,
    Await,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Touch {
    pub object: Label,
    pub access: Access,
}
