//! The options of a pool.

use super::error::{BuildError, Lost};
use super::keeper::{Keeper, Shared, Starter};
use super::memory::Link;
use super::worker::work;
use crate::process::{
    Child, Process, Settings, StartError, StartMethod, Target, check_captures_nothing, setting_methods,
};
use crate::supervisor::Supervisor;
use crate::wire::codec::Message;
use crate::wire::control::{self, SendError};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The options of a new pool; the settings of its workers are those of a [`Process`].
///
/// ```no_run
/// use proclab::Resource;
/// use proclab::pool::Pool;
///
/// fn prepare(greeting: String) {
///     assert_eq!(greeting, "hello");
/// }
///
/// proclab::child_entry();
/// let pool = Pool::builder()
///     .workers(4)
///     .initializer(prepare, "hello".to_owned())
///     .max_jobs_per_worker(1000)
///     .rlimit(Resource::As, 1 << 30, 1 << 30)
///     .nice(10)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "options do nothing until the pool is built"]
pub struct Builder {
    workers: Option<usize>,
    name: String,
    method: StartMethod,
    max_jobs: Option<u64>,
    interrupt: Option<OwnedFd>,
    initialize: Initialize,
    settings: Settings,
}

/// Starts a worker process.
type Initialize = Box<dyn Fn(&Supervisor, Link, &Look) -> Result<Child<()>, StartError> + Send>;

/// What the workers of a pool have in common.
struct Look {
    name: String,
    method: StartMethod,
    settings: Settings,
}

fn initialize<F, M>(_: F, args: F::Args) -> Initialize
where
    F: Target<M, Output = ()>,
    F::Args: Message + Send + 'static,
    M: 'static,
{
    check_captures_nothing::<F>();
    Box::new(move |supervisor, link, look| {
        // Each worker has arguments of its own: handles in them are duplicates.
        let own = control::duplicate(&args).map_err(|error| match error {
            SendError::Os(source) => {
                StartError::Os { name: look.name.clone(), operation: "duplicating its arguments", source }
            }
            error => StartError::Args { name: look.name.clone(), reason: error.to_string() },
        })?;
        let process = Process::of_owned(work::<F, M>, (link, own));
        let process = process.name(look.name.clone()).start_method(look.method).with(look.settings.clone());
        supervisor.start(process)
    })
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            workers: None,
            name: "pool-worker".to_owned(),
            method: StartMethod::ForkServer,
            max_jobs: None,
            interrupt: None,
            initialize: initialize(|| (), ()),
            settings: Settings::default(),
        }
    }

    /// Sets the number of workers; by default the number of processors that this process may use, which depends on its
    /// CPU affinity and on the quota of its control group ([`std::thread::available_parallelism`]).
    ///
    /// ```
    /// let builder = proclab::pool::Pool::builder().workers(4);
    /// # drop(builder);
    /// ```
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = Some(workers);
        self
    }

    /// Sets the name of its workers; `pool-worker` by default.
    ///
    /// ```
    /// let builder = proclab::pool::Pool::builder().name("thumbnails");
    /// # drop(builder);
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = name.into();
        self
    }

    /// Sets how workers are started; by default by the fork server, which is fast and works in any thread.
    ///
    /// Under `Fork` the first workers are copies of this process, which must then have only one thread. Their replacements
    /// are started by the fork server, because a pool has a thread.
    ///
    /// ```
    /// use proclab::{StartMethod, pool::Pool};
    ///
    /// let builder = Pool::builder().start_method(StartMethod::ForkServer);
    /// # drop(builder);
    /// ```
    pub fn start_method(mut self, method: StartMethod) -> Builder {
        self.method = method;
        self
    }

    /// Sets a function that each worker runs before its first job, like `initializer` in Python. Its arguments pass locks,
    /// queues and descriptors to the jobs. If three workers in a row end in it, the pool gives up.
    ///
    /// ```
    /// fn connect(address: String) {
    ///     println!("connecting to {address}");
    /// }
    ///
    /// let builder = proclab::pool::Pool::builder().initializer(connect, "db:5432".to_owned());
    /// # drop(builder);
    /// ```
    pub fn initializer<F, M>(mut self, target: F, args: F::Args) -> Builder
    where
        F: Target<M, Output = ()>,
        F::Args: Message + Send + 'static,
        M: 'static,
    {
        self.initialize = initialize(target, args);
        self
    }

    /// Sets the number of jobs after which a worker is replaced, like `maxtasksperchild`; by default it never is.
    ///
    /// ```
    /// let builder = proclab::pool::Pool::builder().max_jobs_per_worker(1000);
    /// # drop(builder);
    /// ```
    pub fn max_jobs_per_worker(mut self, jobs: u64) -> Builder {
        self.max_jobs = Some(jobs.max(1));
        self
    }

    /// Terminates the pool once `interrupt` is readable, as on Ctrl-C.
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let builder = proclab::pool::Pool::builder().interrupt(&stop)?;
    /// # drop(builder);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn interrupt(mut self, interrupt: impl AsFd) -> std::io::Result<Builder> {
        self.interrupt = Some(interrupt.as_fd().try_clone_to_owned()?);
        Ok(self)
    }

    /// Starts the workers.
    pub(super) fn start(self) -> Result<(Arc<Shared>, usize, Keeper), BuildError> {
        let Builder { workers, name, method, max_jobs, interrupt, initialize, settings } = self;
        let workers = workers
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get));
        if workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        let starter = |look: Look, initialize: Arc<std::sync::Mutex<Initialize>>| -> Starter {
            Box::new(move |supervisor, link| {
                let initialize = initialize.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                initialize(supervisor, link, &look)
            })
        };
        let initialize = Arc::new(std::sync::Mutex::new(initialize));
        let look = |method| Look { name: name.clone(), method, settings: settings.clone() };
        let shared = Arc::new(Shared::new()?);
        let first = starter(look(method), Arc::clone(&initialize));
        let mut keeper =
            Keeper::new(Arc::clone(&shared), Supervisor::new()?, first, workers, max_jobs, interrupt);
        for _ in 0..workers {
            if let Err(lost) = keeper.start_worker() {
                let _ = keeper.supervisor.shutdown();
                return Err(match lost {
                    Lost::Start(error) => BuildError::Start(error),
                    Lost::Os(error) => BuildError::Os(error),
                    other => BuildError::Os(std::io::Error::other(other)),
                });
            }
        }
        if method == StartMethod::Fork {
            keeper.starter = starter(look(StartMethod::ForkServer), initialize);
        }
        Ok((shared, workers, keeper))
    }

    setting_methods!();
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("name", &self.name)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
