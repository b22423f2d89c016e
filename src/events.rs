//! Events of `tracing`, where the feature of that name is on.

/// An event at this level, with fields and a message as those of `tracing::event!`; nothing where the feature is off.
macro_rules! event {
    ($level:ident, $($rest:tt)*) => {{
        #[cfg(feature = "tracing")]
        ::tracing::event!(target: "proclab", ::tracing::Level::$level, $($rest)*);
    }};
}
