//! The builder of a process.

use super::current::current;
use super::error::StartError;
use super::settings::{Settings, setting_methods};
use super::start::StartMethod;
use super::target::{Entry, Given, Itself, Owned, Run, Target, captures_nothing};
use crate::wire::control::{self, Message, SendError};
use std::fmt;
use std::os::fd::OwnedFd;

/// A process to be started: a body, its arguments, and its settings.
///
/// Modelled on Python's `multiprocessing.Process`. `A` is the type of its arguments, `T` that of its result. `G` is
/// `A` once the arguments are [given](Self::args): only then can it be started.
///
/// # What the process is given
/// Unless its settings say otherwise, the same under every start method, as it is at the moment of the start: the
/// parent's working directory, environment, limits, users, session and controlling terminal, its standard output and
/// error; `/dev/null` as standard input; no blocked signals, and default dispositions except for signals that the
/// parent ignores.
///
/// It leads a process group of its own. Ctrl-C (`SIGINT`) and a closed terminal (`SIGHUP`) are sent to the foreground
/// group, which is the parent's: they reach the parent, which ends its children in order or dies, and then the
/// kernel [kills the children](Process::die_with_parent). Ctrl-Z stops only the parent.
#[must_use = "a process does nothing until a supervisor starts it"]
pub struct Process<A, T, G = A> {
    pub(super) entry: Entry<A, T>,
    pub(super) args: G,
    pub(super) name: Option<String>,
    pub(super) daemon: Option<bool>,
    pub(super) method: StartMethod,
    pub(super) outlives_parent: bool,
    pub(super) leave_zombie: bool,
    pub(super) settings: Settings,
}

/// A process with the same body, arguments, name and settings.
impl<A, T, G: Clone> Clone for Process<A, T, G> {
    fn clone(&self) -> Self {
        let Process { entry, args, name, daemon, method, outlives_parent, leave_zombie, settings } = self;
        Process {
            entry: *entry,
            args: args.clone(),
            name: name.clone(),
            daemon: *daemon,
            method: *method,
            outlives_parent: *outlives_parent,
            leave_zombie: *leave_zombie,
            settings: settings.clone(),
        }
    }
}

/// # Settings
/// These correspond to those of [`std::process::Command`], and have the same effect under every start method. If the
/// kernel refuses one, the start fails ([`StartError::Setting`]).
///
/// ```no_run
/// use proclab::{Process, Resource, Stdio, Supervisor};
///
/// fn work() -> String {
///     std::env::var("MODE").unwrap_or_default()
/// }
///
/// proclab::child_entry();
/// let supervisor = Supervisor::new()?;
/// let child = supervisor.start(
///     Process::new(work)
///         .env("MODE", "batch")
///         .current_dir("/")
///         .stdout(Stdio::null())
///         .rlimit(Resource::Nofile, 64, 64)
///         .nice(5),
/// )?;
/// assert_eq!(child.result()?, "batch");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<A, T, G> Process<A, T, G> {
    setting_methods!();

    pub(crate) fn with(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets its name if it has none.
    pub(crate) fn name_if_none(mut self, name: &str) -> Self {
        self.name.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Makes its body report its state on `socket`.
    pub(crate) fn notify_on(mut self, socket: Option<OwnedFd>) -> Self {
        self.settings.set_notify(socket);
        self
    }
}

impl<A: Message, T> Process<A, T> {
    /// A copy of the process, with arguments as another process would receive them.
    ///
    /// # Errors
    /// [`StartError::Args`] if they cannot be sent, [`StartError::Os`] at the limit of descriptors.
    pub(crate) fn duplicate(&self) -> Result<Self, StartError> {
        let name = || self.name.clone().unwrap_or_default();
        let args = control::duplicate(&self.args).map_err(|error| match error {
            SendError::Os(source) => StartError::Os { name: name(), operation: "sendmsg", source },
            error => StartError::Args { name: name(), reason: error.to_string() },
        })?;
        let Process { entry, args: _, name, daemon, method, outlives_parent, leave_zombie, settings } = self;
        Ok(Process {
            entry: *entry,
            args,
            name: name.clone(),
            daemon: *daemon,
            method: *method,
            outlives_parent: *outlives_parent,
            leave_zombie: *leave_zombie,
            settings: settings.clone(),
        })
    }
}

impl<A: Message + 'static, T: Message + Send + 'static> Process<A, T> {
    /// Creates a process that runs `target`: a `fn`, or a closure that captures nothing, with up to six arguments.
    ///
    /// ```no_run
    /// use proclab::{Process, Supervisor};
    ///
    /// fn add(a: u64, b: u64) -> u64 {
    ///     a + b
    /// }
    ///
    /// # proclab::child_entry();
    /// let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(add).args((2, 3)))?;
    /// assert_eq!(child.result()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Anything else does not compile: a closure that captures something, a pointer to a function, a function that takes
    /// references or more than six arguments, and a start without the arguments. `cargo check` reports all of these
    /// except a `move` closure that captures only `Copy` values, which `cargo build` reports: no trait tells such a
    /// closure from one without captures, only its size does, and sizes are known when code is generated.
    pub fn new<F, M, PassTheFunctionItselfAndNoPointer, TakeNoReferencesButAStringOrAVec>(
        target: F,
    ) -> Process<A, T, F::Unset>
    where
        F: Target<M, Args = A, Output = T> + Itself<PassTheFunctionItselfAndNoPointer>,
        A: Owned<TakeNoReferencesButAStringOrAVec>,
    {
        // Here, so that the compiler names the line that called this.
        const { captures_nothing::<F>() };
        Process::of(Entry::function(target), F::Unset::default())
    }

    /// A process that runs `target` with `args`, which the caller knows not to be references.
    pub(crate) fn of_owned<F, M>(target: F, args: A) -> Process<A, T>
    where
        F: Target<M, Args = A, Output = T>,
    {
        Process::of(Entry::function(target), args)
    }

    /// Creates a process that runs `object`, whose fields are its arguments.
    ///
    /// ```
    /// use proclab::{Process, Run};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Count {
    ///     to: u64,
    /// }
    ///
    /// impl Run for Count {
    ///     type Output = u64;
    ///
    ///     fn run(self) -> u64 {
    ///         (1..=self.to).sum()
    ///     }
    /// }
    ///
    /// let process = Process::object(Count { to: 10 });
    /// # drop(process);
    /// ```
    pub fn object(object: A) -> Self
    where
        A: Run<Output = T>,
    {
        Process::of(Entry::object(), object)
    }
}

impl<A, T, G> Process<A, T, G> {
    fn of(entry: Entry<A, T>, args: G) -> Self {
        let method = StartMethod::default();
        Process {
            entry,
            args,
            name: None,
            daemon: None,
            method,
            outlives_parent: false,
            leave_zombie: false,
            settings: Settings::default(),
        }
    }

    /// Sets the arguments: one as itself, several as a tuple. Under `Fork` they are moved, otherwise sent.
    ///
    /// ```
    /// use proclab::Process;
    ///
    /// let one = Process::new(|text: String| text.len()).args("soup".to_owned());
    /// let two = Process::new(|a: u32, b: u32| a + b).args((2, 3));
    /// # drop((one, two));
    /// ```
    pub fn args(self, args: A) -> Process<A, T> {
        let Process { entry, args: _, name, daemon, method, outlives_parent, leave_zombie, settings } = self;
        Process { entry, args, name, daemon, method, outlives_parent, leave_zombie, settings }
    }

    /// Sets its name, of which `ps` shows the first 15 bytes; `Process-1`, `Process-2`… by default.
    ///
    /// ```
    /// let process = proclab::Process::new(|| ()).name("worker");
    /// # drop(process);
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets whether it is a daemon: it is terminated when its supervisor ends, dies with its parent even if that is
    /// killed, and may not have children. Inherited from the parent by default.
    ///
    /// ```
    /// let process = proclab::Process::new(|| ()).daemon(true);
    /// assert!(process.is_daemon());
    /// ```
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = Some(daemon);
        self
    }

    /// Sets how it is started; `Spawn` by default.
    ///
    /// ```
    /// use proclab::{Process, StartMethod};
    ///
    /// let process = Process::new(|| ()).start_method(StartMethod::ForkServer);
    /// # drop(process);
    /// ```
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = method;
        self
    }

    /// Sets whether the kernel kills it (`SIGKILL`) when its parent dies: by Ctrl-C, `SIGKILL`, or a
    /// crash (`PR_SET_PDEATHSIG(2const)`). True by default, so that no child is orphaned by
    /// accident; always true for a daemon.
    ///
    /// A child of a child dies with its own parent in turn. Programs that a child starts by other means
    /// ([`std::process::Command`]) are not affected.
    ///
    /// ```
    /// let background = proclab::Process::new(|| ()).die_with_parent(false);
    /// # drop(background);
    /// ```
    pub fn die_with_parent(mut self, die: bool) -> Self {
        self.outlives_parent = !die;
        self
    }

    /// Sets whether it stays a zombie, once it has ended, until [`Handle::reap`](super::Handle::reap) or the end of
    /// its supervisor.
    ///
    /// ```
    /// let zombie = proclab::Process::new(|| ()).leave_zombie(true);
    /// # drop(zombie);
    /// ```
    pub fn leave_zombie(mut self, leave: bool) -> Self {
        self.leave_zombie = leave;
        self
    }

    /// Whether it will be a daemon, by its setting or by inheritance.
    ///
    /// ```
    /// assert!(!proclab::Process::new(|| ()).is_daemon());
    /// ```
    pub fn is_daemon(&self) -> bool {
        self.daemon.unwrap_or_else(|| current().is_daemon())
    }

    /// The process with its arguments, which were given.
    pub(crate) fn complete(self) -> Process<A, T>
    where
        G: Given<A>,
    {
        let Process { entry, args, name, daemon, method, outlives_parent, leave_zombie, settings } = self;
        let args = args.into_args();
        Process { entry, args, name, daemon, method, outlives_parent, leave_zombie, settings }
    }
}

impl<A, T, G> fmt::Debug for Process<A, T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Process { name, daemon, method, .. } = self;
        f.debug_struct("Process")
            .field("name", name)
            .field("daemon", daemon)
            .field("method", method)
            .finish_non_exhaustive()
    }
}
