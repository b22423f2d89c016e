//! Why a command did not do what it was told, in one line, and what to do about it.

/// A command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// 1: it could not run; 2: the arguments are wrong.
    pub(crate) code: u8,
    /// What and why, on one line.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// The arguments are wrong.
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: 2, what: what.into(), hint: Some(hint.into()) }
    }

    /// It could not run: the error and all its sources, on one line.
    pub(crate) fn of(what: &str, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{what}: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        Self { code: 1, what: text, hint: None }
    }
}
