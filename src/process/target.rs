//! What a process runs: a function or an object.
//!
//! # Safety
//! A function that captures nothing has no bytes, so the child can create one from its type alone.
//! [`Entry::function`] was given a value of that type, so the type has values, and checks at compile time that it has
//! no bytes.
#![expect(unsafe_code, reason = "a value of a type without bytes is made from nothing")]

use super::entry::FreshStart;
use crate::wire::control::Message;
use std::fmt;
use std::ptr::NonNull;

/// A function that can be the body of a process: a `fn` or a closure that captures nothing, with up to
/// six arguments.
///
/// A process shares no variables with its parent, so it gets what it needs in its arguments. `Marker` distinguishes
/// the implementations for different numbers of arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the body of a process",
    label = "not a function that captures nothing and takes up to six arguments",
    note = "pass a `fn`, or a closure that captures nothing: what it needs to know comes in its arguments, `.args(…)`",
    note = "it takes up to six arguments: put more of them into a struct or a tuple"
)]
pub trait Target<Marker>: Copy + 'static {
    /// One argument as itself, none as `()`, several as a tuple.
    type Args;
    /// The placeholder of the arguments until they are given: `()` if there are none.
    #[doc(hidden)]
    type Unset: Default;
    /// What it returns.
    type Output;
    /// Runs it.
    ///
    /// ```
    /// use proclab::Target;
    ///
    /// assert_eq!((|a: u32, b: u32| a + b).call((2, 3)), 5);
    /// ```
    fn call(self, args: Self::Args) -> Self::Output;
}

#[diagnostic::do_not_recommend]
impl<F: Fn() -> T + Copy + 'static, T> Target<fn() -> T> for F {
    type Args = ();
    type Unset = ();
    type Output = T;

    fn call(self, (): ()) -> T {
        self()
    }
}

#[diagnostic::do_not_recommend]
impl<F: Fn(A) -> T + Copy + 'static, A, T> Target<fn(A) -> T> for F {
    type Args = A;
    type Unset = ArgsMissing;
    type Output = T;

    fn call(self, arg: A) -> T {
        self(arg)
    }
}

macro_rules! target_of_several {
    ($($arg:ident)+) => {
        #[diagnostic::do_not_recommend]
        impl<F: Fn($($arg),+) -> T + Copy + 'static, $($arg,)+ T> Target<fn($($arg),+) -> T> for F {
            type Args = ($($arg,)+);
            type Unset = ArgsMissing;
            type Output = T;

            #[expect(non_snake_case, reason = "the arguments are named as their types")]
            fn call(self, ($($arg,)+): Self::Args) -> T {
                self($($arg),+)
            }
        }
    };
}

target_of_several!(A B);
target_of_several!(A B C);
target_of_several!(A B C D);
target_of_several!(A B C D E);
target_of_several!(A B C D E G);

/// The placeholder of the arguments of a process for which [`Process::args`](super::Process::args) was not called.
#[derive(Debug, Default, Clone, Copy)]
pub struct ArgsMissing(());

/// The arguments of a process, after they were given.
#[diagnostic::on_unimplemented(
    message = "this process has not been given its arguments",
    label = "call `.args(…)` on it before it is started",
    note = "its function takes `{A}`: one argument as itself, several as a tuple"
)]
pub trait Given<A> {
    #[doc(hidden)]
    fn into_args(self) -> A;
}

impl<A> Given<A> for A {
    fn into_args(self) -> A {
        self
    }
}

/// A function or a closure, not a pointer to one. A pointer has two implementations, so that its use is ambiguous and
/// does not compile.
#[doc(hidden)]
pub trait Itself<Which> {}

/// The name of this type is read in the compiler's message.
#[doc(hidden)]
#[derive(Debug)]
pub struct PassTheFunctionItselfAndNoPointerToIt;

impl<F> Itself<()> for F {}
impl<F: fmt::Pointer> Itself<PassTheFunctionItselfAndNoPointerToIt> for F {}

/// Arguments that are not references. A reference has two implementations, as above.
#[doc(hidden)]
pub trait Owned<Which> {}

/// The name of this type is read in the compiler's message.
#[doc(hidden)]
#[derive(Debug)]
pub struct AReferenceCannotTravelTakeAStringForAStrAndAVecForASlice<const PLACE: usize>;

impl<A> Owned<()> for A {}
impl<A: ?Sized> Owned<AReferenceCannotTravelTakeAStringForAStrAndAVecForASlice<0>> for &A {}

macro_rules! references_among {
    ($($place:literal: ($($before:ident)*) ($($after:ident)*);)+) => {$(
        impl<R: ?Sized, $($before,)* $($after,)*>
            Owned<AReferenceCannotTravelTakeAStringForAStrAndAVecForASlice<$place>>
            for ($($before,)* &R, $($after,)*)
        {
        }
    )+};
}

references_among! {
    1: () (B);
    2: (A) ();
    1: () (B C);
    2: (A) (C);
    3: (A B) ();
    1: () (B C D);
    2: (A) (C D);
    3: (A B) (D);
    4: (A B C) ();
    1: () (B C D E);
    2: (A) (C D E);
    3: (A B) (D E);
    4: (A B C) (E);
    5: (A B C D) ();
    1: () (B C D E G);
    2: (A) (C D E G);
    3: (A B) (D E G);
    4: (A B C) (E G);
    5: (A B C D) (G);
    6: (A B C D E) ();
}

/// The object style: a type whose fields are the arguments and whose `run` is the body, as a subclass
/// of Python's `Process`.
///
/// ```no_run
/// use proclab::{Process, Run, Supervisor};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Greeter {
///     whom: String,
/// }
///
/// impl Run for Greeter {
///     type Output = String;
///
///     fn run(self) -> String {
///         format!("hello, {}", self.whom)
///     }
/// }
///
/// proclab::child_entry();
/// let supervisor = Supervisor::new()?;
/// let child = supervisor.start(Process::object(Greeter { whom: "world".into() }))?;
/// assert_eq!(child.result()?, "hello, world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Run {
    /// The type of the result.
    type Output;

    /// The body of the process, which runs in the child.
    ///
    /// ```
    /// use proclab::Run;
    ///
    /// struct Two;
    ///
    /// impl Run for Two {
    ///     type Output = u32;
    ///
    ///     fn run(self) -> u32 {
    ///         2
    ///     }
    /// }
    ///
    /// assert_eq!(Two.run(), 2);
    /// ```
    fn run(self) -> Self::Output;
}

/// What captures nothing has no bytes.
pub(super) const fn captures_nothing<F>() {
    assert!(size_of::<F>() == 0, "the body of a process may capture nothing: pass it arguments, `.args(…)`");
}

/// The two forms in which a body is kept.
#[derive(Debug)]
pub(crate) struct Entry<A, T> {
    /// For a copy of this memory.
    pub(crate) body: fn(A) -> T,
    /// For a fresh copy of the executable, which finds this function by its place in the file.
    pub(crate) fresh: fn(FreshStart) -> !,
}

impl<A, T> Copy for Entry<A, T> {}

impl<A, T> Clone for Entry<A, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Message, T: Message> Entry<A, T> {
    pub(crate) fn function<F, M>(_: F) -> Self
    where
        F: Target<M, Args = A, Output = T>,
    {
        check_captures_nothing::<F>();
        Entry { body: call::<F, M>, fresh: |start| start.run(call::<F, M>) }
    }

    pub(crate) fn object() -> Self
    where
        A: Run<Output = T>,
    {
        Entry { body: A::run, fresh: |start| start.run(A::run) }
    }
}

/// Fails to compile for a type with bytes.
pub(crate) const fn check_captures_nothing<F>() {
    const { captures_nothing::<F>() };
}

/// Calls the one function of this type.
///
/// # Safety
/// [`check_captures_nothing`] holds for `F`, and it has a value: one was given to this program.
pub(crate) unsafe fn call_by_type<F: Target<M>, M>(args: F::Args) -> F::Output {
    call::<F, M>(args)
}

fn call<F: Target<M>, M>(args: F::Args) -> F::Output {
    // SAFETY: `F` has no bytes (checked where the entry was made), and has values: one was given there.
    // Reading no bytes from an aligned, non-null pointer is always allowed.
    let function = unsafe { NonNull::<F>::dangling().read() };
    function.call(args)
}
