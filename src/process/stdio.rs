//! Where a child's standard streams go, and the parent's ends of those that are pipes.

use super::unforked::Unforked;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Where a standard stream of a child goes, as [`std::process::Stdio`].
///
/// A file, a pipe's end or a socket is taken by [`From`]. A value can be used for several children, which then share
/// the open file.
///
/// ```
/// use proclab::Stdio;
///
/// let log = std::fs::File::create("/dev/null")?;
/// let stdout = Stdio::from(log);
/// # drop(stdout);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stdio(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Inherit,
    Null,
    Piped,
    Open(Arc<OwnedFd>),
}

impl Stdio {
    /// The parent's own stream.
    ///
    /// ```
    /// # use proclab::{Process, Stdio};
    /// let process = Process::new(|| ()).stdin(Stdio::inherit());
    /// # drop(process);
    /// ```
    pub fn inherit() -> Stdio {
        Stdio(Kind::Inherit)
    }

    /// `/dev/null`: reading returns nothing, and output is discarded.
    ///
    /// ```
    /// # use proclab::{Process, Stdio};
    /// let process = Process::new(|| ()).stdout(Stdio::null());
    /// # drop(process);
    /// ```
    pub fn null() -> Stdio {
        Stdio(Kind::Null)
    }

    /// A pipe. The parent takes its other end from the [`Child`](crate::Child).
    ///
    /// ```
    /// # use proclab::{Process, Stdio};
    /// let process = Process::new(|| ()).stdout(Stdio::piped());
    /// # drop(process);
    /// ```
    pub fn piped() -> Stdio {
        Stdio(Kind::Piped)
    }

    /// The child's end, unless the child has it anyway, and the parent's end of a pipe.
    pub(super) fn open(&self, stream: Stream) -> io::Result<(Option<OwnedFd>, Option<OwnedFd>)> {
        match &self.0 {
            // The standard input of a child that is being started is the socket from which it boots.
            Kind::Inherit if stream == Stream::Stdin => {
                Ok((Some(io::stdin().as_fd().try_clone_to_owned()?), None))
            }
            Kind::Inherit => Ok((None, None)),
            Kind::Null => {
                let null = File::options().read(true).write(true).open("/dev/null")?;
                Ok((Some(null.into()), None))
            }
            Kind::Open(file) => Ok((Some(file.try_clone()?), None)),
            Kind::Piped => {
                let (reader, writer) = io::pipe()?;
                Ok(match stream {
                    Stream::Stdin => (Some(reader.into()), Some(writer.into())),
                    Stream::Stdout | Stream::Stderr => (Some(writer.into()), Some(reader.into())),
                })
            }
        }
    }
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Descriptor 0.
    Stdin,
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

macro_rules! from_open_file {
    ($($owner:ty),+) => {
        $(impl From<$owner> for Stdio {
            fn from(owner: $owner) -> Stdio {
                Stdio(Kind::Open(Arc::new(owner.into())))
            }
        })+
    };
}

from_open_file!(OwnedFd, File, PipeReader, PipeWriter, std::os::unix::net::UnixStream, std::net::TcpStream);

/// The parent's end of a child's standard input; dropping it ends the child's input.
#[derive(Debug)]
pub struct ChildStdin(Unforked<PipeWriter>);

/// The parent's end of a child's standard output or error.
///
/// It reaches its end once no process has the other end: the child, and the processes that inherited it from the child.
#[derive(Debug)]
pub struct ChildOutput(Unforked<PipeReader>);

impl Write for ChildStdin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for ChildOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl AsFd for ChildStdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for ChildOutput {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The parent's ends of the streams that are pipes, until they are taken.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildOutput>,
    pub(crate) stderr: Option<ChildOutput>,
}

impl Pipes {
    pub(crate) fn new([stdin, stdout, stderr]: [Option<OwnedFd>; 3]) -> Pipes {
        let output = |end: OwnedFd| ChildOutput(Unforked::new(end.into()));
        Pipes {
            stdin: stdin.map(|end| ChildStdin(Unforked::new(end.into()))),
            stdout: stdout.map(output),
            stderr: stderr.map(output),
        }
    }
}
