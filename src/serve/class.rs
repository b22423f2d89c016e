//! The class: what the lecturer looks at, a question, and the votes on it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::watch;

use super::access::Secret;
use super::job::{Job, Jobs};
use super::protocol::{ClassRequest, ClassView, Question, Refusal, Vote};

/// Students who may follow at once.
pub(super) const MOST_STUDENTS: usize = 400;
/// Voters that are remembered; the oldest are forgotten first.
const MOST_VOTERS: usize = 2_000;
/// Options of a question, and characters of each.
const MOST_OPTIONS: usize = 12;
const LONGEST_OPTION: usize = 60;

/// One class.
#[derive(Debug)]
pub(super) struct Class {
    state: RefCell<State>,
    followers: Cell<usize>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    view: Option<String>,
    job: Option<Rc<Job>>,
    asked: u64,
    question: Option<Question>,
    open: bool,
    reality: Option<Option<usize>>,
    /// The answer of each voter.
    votes: BTreeMap<String, Option<usize>>,
    seats: std::collections::VecDeque<String>,
}

impl Class {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { state: RefCell::default(), followers: Cell::new(0), changes: watch::Sender::new(0) }
    }

    /// A receiver that is notified of each change, and at once of the present state.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        let mut changes = self.changes.subscribe();
        changes.mark_changed();
        changes
    }

    /// The job that the lecturer looks at.
    pub(super) fn looked_at(&self) -> Option<Rc<Job>> {
        self.state.borrow().job.clone()
    }

    /// The class as the lecturer, or a student, may see it.
    pub(super) fn view(&self, by_student: bool) -> ClassView {
        let state = self.state.borrow();
        let question = state.question.as_ref();
        let votes = question.map(|question| {
            let mut votes = vec![0; question.options.len()];
            for option in state.votes.values().flatten() {
                votes[*option] += 1;
            }
            votes
        });
        ClassView {
            view: state.view.clone(),
            job: state.job.as_ref().map(|job| job.view.job.clone()),
            question: question.map(|question| (state.asked, question.clone())),
            voted: votes.iter().flatten().sum(),
            // Votes of others must not influence those who have not voted.
            votes: votes.filter(|_| !(by_student && state.open)),
            followers: self.followers.get(),
            open: state.open,
            reality: state.reality,
        }
    }

    /// Carries out a request of the lecturer.
    pub(super) fn request(&self, request: ClassRequest, jobs: &Jobs) -> Result<(), Refusal> {
        let mut state = self.state.borrow_mut();
        match request {
            ClassRequest::Look { view, job } => {
                let job = job.map(|job| jobs.find(&job).ok_or(Refusal::JobForgotten)).transpose()?;
                state.view = Some(view.chars().take(LONGEST_OPTION).collect());
                state.job = job;
            }
            ClassRequest::Ask(question) => {
                let fits = |text: &String| !text.is_empty() && text.chars().count() <= LONGEST_OPTION;
                let fit = question.options.iter().all(fits) && fits(&question.kind);
                if !fit || !(2..=MOST_OPTIONS).contains(&question.options.len()) {
                    return Err(Refusal::BadQuestion { most: MOST_OPTIONS, longest: LONGEST_OPTION });
                }
                state.votes.values_mut().for_each(|vote| *vote = None);
                state.asked += 1;
                (state.question, state.open, state.reality) = (Some(question), true, None);
            }
            ClassRequest::Close => state.open = false,
            ClassRequest::Reveal { option } => (state.open, state.reality) = (false, Some(option)),
            ClassRequest::Clear => (state.question, state.open, state.reality) = (None, false, None),
        }
        drop(state);
        self.changed();
        Ok(())
    }

    /// Counts a vote; a later one of the same voter replaces it.
    pub(super) fn vote(&self, vote: &Vote) -> Result<(), Refusal> {
        let mut state = self.state.borrow_mut();
        let options = state.question.as_ref().map_or(0, |question| question.options.len());
        if !state.open || state.asked != vote.question {
            return Err(Refusal::NoVotes);
        }
        if vote.option >= options {
            return Err(Refusal::NoSuchOption);
        }
        *state.votes.get_mut(&vote.voter).ok_or(Refusal::NotFollowing)? = Some(vote.option);
        drop(state);
        self.changed();
        Ok(())
    }

    /// A seat for a follower: its previous one if `voter` is known. `None` if the class is full.
    pub(super) fn take_seat(self: &Rc<Self>, voter: Option<&str>) -> Option<Seat> {
        if self.followers.get() >= MOST_STUDENTS {
            return None;
        }
        let mut state = self.state.borrow_mut();
        let known = voter.filter(|voter| state.votes.contains_key(*voter)).map(str::to_owned);
        let voter = known.unwrap_or_else(|| {
            let voter = Secret::random(16).as_str().to_owned();
            state.votes.insert(voter.clone(), None);
            state.seats.push_back(voter.clone());
            voter
        });
        while state.seats.len() > MOST_VOTERS {
            let Some(oldest) = state.seats.pop_front() else { break };
            state.votes.remove(&oldest);
        }
        drop(state);
        self.followers.set(self.followers.get() + 1);
        self.changed();
        Some(Seat { voter, class: Rc::clone(self) })
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// A student's seat, which is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    voter: String,
    class: Rc<Class>,
}

impl Seat {
    /// The number by which it votes.
    pub(super) fn voter(&self) -> &str {
        &self.voter
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.class.followers.set(self.class.followers.get() - 1);
        self.class.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::Supervisor;

    fn ask(class: &Class, jobs: &Jobs) {
        let options = vec!["ok".to_owned(), "oversold".to_owned()];
        let question = Question { kind: "outcome".to_owned(), options };
        class.request(ClassRequest::Ask(question), jobs).unwrap();
    }

    #[test]
    fn each_follower_has_one_vote_and_sees_the_others_once_voting_is_closed() {
        let (class, jobs) = (Rc::new(Class::new()), Jobs::new(Supervisor::new().unwrap()));
        let seats: Vec<Seat> = (0..3).map(|_| class.take_seat(None).unwrap()).collect();
        let vote = |seat: &Seat, question, option| {
            class.vote(&Vote { voter: seat.voter().to_owned(), question, option })
        };
        assert_eq!(vote(&seats[0], 0, 0), Err(Refusal::NoVotes));
        ask(&class, &jobs);
        assert_eq!(vote(&seats[0], 1, 0), Ok(()));
        assert_eq!(vote(&seats[0], 1, 1), Ok(()), "one may change one's mind");
        assert_eq!(vote(&seats[1], 1, 1), Ok(()));
        assert_eq!(vote(&seats[2], 1, 2), Err(Refusal::NoSuchOption));
        assert_eq!(vote(&seats[2], 2, 0), Err(Refusal::NoVotes));
        let stranger = Vote { voter: "nobody".to_owned(), question: 1, option: 0 };
        assert_eq!(class.vote(&stranger), Err(Refusal::NotFollowing));
        assert_eq!((class.view(true).votes, class.view(false).votes), (None, Some(vec![0, 2])));
        class.request(ClassRequest::Reveal { option: Some(1) }, &jobs).unwrap();
        let view = class.view(true);
        assert_eq!((view.votes, view.voted, view.reality), (Some(vec![0, 2]), 2, Some(Some(1))));
        assert_eq!(vote(&seats[2], 1, 0), Err(Refusal::NoVotes));
    }

    #[test]
    fn one_who_comes_back_has_the_same_vote_and_the_seats_are_bounded() {
        let (class, jobs) = (Rc::new(Class::new()), Jobs::new(Supervisor::new().unwrap()));
        let seat = class.take_seat(None).unwrap();
        let voter = seat.voter().to_owned();
        ask(&class, &jobs);
        class.vote(&Vote { voter: voter.clone(), question: 1, option: 0 }).unwrap();
        drop(seat);
        assert_eq!(class.view(false).followers, 0);
        let seat = class.take_seat(Some(&voter)).unwrap();
        assert_eq!((seat.voter(), class.view(false).voted), (voter.as_str(), 1));
        assert_ne!(class.take_seat(Some("made up")).unwrap().voter(), "made up");
        let all: Vec<_> = std::iter::from_fn(|| class.take_seat(None)).take(MOST_STUDENTS + 9).collect();
        assert_eq!(all.len(), MOST_STUDENTS - 1);
    }

    #[test]
    fn a_question_is_bounded() {
        let (class, jobs) = (Class::new(), Jobs::new(Supervisor::new().unwrap()));
        for options in
            [vec!["one".to_owned()], vec!["x".to_owned(); 13], vec!["y".repeat(61), "z".to_owned()]]
        {
            let question = Question { kind: "outcome".to_owned(), options };
            let refused = class.request(ClassRequest::Ask(question), &jobs);
            assert!(matches!(refused, Err(Refusal::BadQuestion { .. })), "{refused:?}");
        }
    }
}
