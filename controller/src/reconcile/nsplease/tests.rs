//! What is planned for requests, from every state that a crash or a tenant can leave.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::observe::{Issued, Observed, Ours, Place, Request, Token};
use super::plan::{Step, plan};
use super::settings::{Policy, tests::settings};

const NAME: &str = "nsp-x";
const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const SOON: SignedDuration = SignedDuration::from_secs(60);

fn request() -> Request {
    Request { name: NAME.to_owned(), uid: "cm".to_owned(), ..Request::default() }
}

fn ours(policy: Policy) -> Ours {
    Ours { uid: "ns".to_owned(), terminating: false, policy, issued: None, said: None }
}

fn secret() -> Issued {
    Issued {
        uid: "s".to_owned(),
        version: "1".to_owned(),
        namespace: "ns".to_owned(),
        to: "cm".to_owned(),
        recorded: false,
        renew_at: Some(NOW + SOON),
    }
}

fn seen(request: Request, place: Place, token: Token) -> Observed {
    Observed { request: Some(request), place, token, open: None }
}

fn step(seen: &Observed) -> Step {
    plan(NAME, seen, &settings(&[]), NOW)
}

/// What the world looks like once a step is done.
fn done(seen: &Observed, step: &Step) -> Observed {
    let mut next = seen.clone();
    let request = next.request.as_mut().unwrap();
    match (step, &mut next.place) {
        (Step::Rest(_), _) => {}
        (Step::Answer { words, .. }, _) => request.answer = Some(words.clone()),
        (Step::Retract(_), _) => request.answer = None,
        (Step::Make(policy), place) => *place = Place::Ours(ours(*policy)),
        (Step::Own { namespace, .. }, _) => request.owner = Some(namespace.clone()),
        (Step::Tighten(_), Place::Ours(ours)) => ours.policy = Policy::OnlyOnce,
        (Step::Discard(_), _) => next.token = Token::Missing,
        (Step::Issue { ours, to, .. }, _) => {
            let recorded = ours.policy == Policy::MultipleTimes || ours.issued.is_some();
            next.token =
                Token::Issued(Issued { to: to.clone(), recorded, namespace: ours.uid.clone(), ..secret() });
        }
        (Step::Record { to, .. }, Place::Ours(ours)) => {
            ours.said = Some(ours.policy.as_str().to_owned());
            ours.issued = Some(to.clone());
        }
        (Step::Release(_), _) => match &mut next.token {
            Token::Issued(secret) => secret.recorded = true,
            token => panic!("{token:?}"),
        },
        other => panic!("{other:?}"),
    }
    next
}

/// All steps until there is nothing to do, and what is there then.
fn steps(mut seen: Observed) -> (Vec<Step>, Observed) {
    let mut steps = Vec::new();
    loop {
        let step = step(&seen);
        if let Step::Rest(_) = step {
            return (steps, seen);
        }
        seen = done(&seen, &step);
        steps.push(step);
        assert!(steps.len() < 16, "no end: {steps:#?}");
    }
}

fn issues(steps: &[Step]) -> usize {
    steps.iter().filter(|s| matches!(s, Step::Issue { .. })).count()
}

#[test]
fn from_nothing_to_a_token() {
    let (done, end) = steps(seen(request(), Place::Free, Token::Missing));
    let [Step::Make(Policy::MultipleTimes), Step::Own { .. }, Step::Issue { .. }, Step::Record { .. }] =
        &done[..]
    else {
        panic!("{done:#?}")
    };
    assert_eq!(step(&end), Step::Rest(Some(NOW + SOON)));
    let asks = Request { policy: Some(Policy::OnlyOnce), ..request() };
    let (done, end) = steps(seen(asks, Place::Free, Token::Missing));
    assert!(
        matches!(done[..], [Step::Make(Policy::OnlyOnce), .., Step::Record { .. }, Step::Release(_)]),
        "{done:#?}"
    );
    assert_eq!(step(&end), Step::Rest(None), "never renewed");
}

#[test]
fn a_request_cannot_loosen_the_rule() {
    let asks = Request { policy: Some(Policy::MultipleTimes), ..request() };
    let strict = settings(&["--token-policy-default", "only-once"]);
    let made = plan(NAME, &seen(asks, Place::Free, Token::Missing), &strict, NOW);
    assert_eq!(made, Step::Make(Policy::OnlyOnce));
}

#[test]
fn renewed_in_time_and_only_where_it_is_there() {
    let issued = Ours { issued: Some("cm".to_owned()), ..ours(Policy::MultipleTimes) };
    let owned = Request { owner: Some("ns".to_owned()), ..request() };
    let due = Issued { recorded: true, renew_at: Some(NOW), ..secret() };
    let at = |token| step(&seen(owned.clone(), Place::Ours(issued.clone()), token));
    assert!(matches!(at(Token::Issued(due.clone())), Step::Issue { into: Some(_), .. }));
    assert_eq!(at(Token::Issued(Issued { renew_at: Some(NOW + SOON), ..due })), Step::Rest(Some(NOW + SOON)));
    // Whoever deleted it wanted it gone: until somebody asks again.
    assert_eq!(at(Token::Missing), Step::Rest(None));
    let again = Request { uid: "cm2".to_owned(), ..request() };
    let (done, _) = steps(seen(again, Place::Ours(issued), Token::Missing));
    assert_eq!(issues(&done), 1, "{done:#?}");
}

#[test]
fn issued_once_is_never_issued_again() {
    let issued = Ours { issued: Some("cm".to_owned()), ..ours(Policy::OnlyOnce) };
    let again = Request { uid: "cm2".to_owned(), ..request() };
    let (done, end) = steps(seen(again.clone(), Place::Ours(issued.clone()), Token::Missing));
    assert_eq!(issues(&done), 0, "{done:#?}");
    assert!(end.request.unwrap().answer.unwrap().starts_with("NotIssued: "));
    // Tightened by its owner afterwards.
    let tightened = Ours { policy: Policy::MultipleTimes, said: Some("only-once".to_owned()), ..issued };
    let (done, _) = steps(seen(again.clone(), Place::Ours(tightened.clone()), Token::Missing));
    assert!(matches!(done[..], [Step::Own { .. }, Step::Tighten(_), Step::Answer { .. }]), "{done:#?}");
    let odd = Ours { said: Some("often".to_owned()), ..tightened };
    let (done, _) = steps(seen(again, Place::Ours(odd), Token::Missing));
    assert!(matches!(done[..], [Step::Own { .. }, Step::Answer { reason: "NotIssued", .. }]), "{done:#?}");
}

#[test]
fn never_ours_by_accident() {
    let none = |place, token| {
        let (done, end) = steps(seen(request(), place, token));
        assert!(matches!(done[..], [Step::Answer { .. }]), "{done:#?}");
        end.request.unwrap().answer.unwrap()
    };
    assert!(none(Place::Foreign { terminating: false }, Token::Missing).starts_with("Refused: "));
    assert!(none(Place::Foreign { terminating: true }, Token::Missing).starts_with("Waiting: "));
    assert!(none(Place::Free, Token::Foreign).starts_with("Refused: "));
    let going = Ours { terminating: true, ..ours(Policy::MultipleTimes) };
    assert!(none(Place::Ours(going), Token::Missing).starts_with("Waiting: "));
    let open = Observed { open: Some("a hole".to_owned()), ..seen(request(), Place::Free, Token::Missing) };
    assert!(matches!(step(&open), Step::Answer { reason: "Waiting", .. }));
    let served = Ours { issued: Some("cm".to_owned()), ..ours(Policy::MultipleTimes) };
    let owned = Request { owner: Some("ns".to_owned()), ..request() };
    let there = Token::Issued(Issued { recorded: true, ..secret() });
    let open = Observed { open: Some("a hole".to_owned()), ..seen(owned, Place::Ours(served), there) };
    assert_eq!(step(&open), Step::Rest(Some(NOW + SOON)), "nobody waits for what he has");

    // A request whose namespace was deleted brings none again: it goes with that.
    let served = Request { owner: Some("old".to_owned()), ..request() };
    for place in [Place::Free, Place::Ours(ours(Policy::MultipleTimes))] {
        assert_eq!(step(&seen(served.clone(), place, Token::Missing)), Step::Rest(None));
    }
    // What is left of another namespace's Secret is not taken for this one's.
    let old = Token::Issued(Issued { namespace: "old".to_owned(), ..secret() });
    let (done, _) = steps(seen(request(), Place::Ours(ours(Policy::OnlyOnce)), old));
    assert!(matches!(done[..], [Step::Own { .. }, Step::Discard(_), Step::Issue { .. }, ..]), "{done:#?}");
}

#[test]
fn names_are_refused_before_anything_is_read() {
    let refused = Request { name: "prod".to_owned(), ..request() };
    let answered = plan("prod", &seen(refused, Place::Free, Token::Missing), &settings(&[]), NOW);
    assert!(matches!(answered, Step::Answer { reason: "Refused", .. }), "{answered:?}");
    let ignored = Request { name: "kube-root-ca.crt".to_owned(), ..request() };
    let ignored = plan("kube-root-ca.crt", &seen(ignored, Place::Free, Token::Missing), &settings(&[]), NOW);
    assert_eq!(ignored, Step::Rest(None));
}

fn worlds() -> impl Strategy<Value = Observed> {
    let uid = prop_oneof![Just("cm".to_owned()), Just("cm2".to_owned())];
    let policy = prop_oneof![Just(Policy::OnlyOnce), Just(Policy::MultipleTimes)];
    let said = proptest::option::of(prop_oneof!["only-once", "multiple-times", "often"]);
    let ours = (policy, proptest::option::of(uid.clone()), said, any::<bool>()).prop_map(
        |(policy, issued, said, terminating)| Place::Ours(Ours { issued, said, terminating, ..ours(policy) }),
    );
    let place = prop_oneof![
        1 => Just(Place::Free),
        1 => any::<bool>().prop_map(|terminating| Place::Foreign { terminating }),
        8 => ours,
    ];
    let issued = (uid, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(to, recorded, due, stale)| {
        let renew_at = Some(if due { NOW } else { NOW + SOON });
        let namespace = if stale { "old" } else { "ns" }.to_owned();
        Token::Issued(Issued { to, recorded, renew_at, namespace, ..secret() })
    });
    let token = prop_oneof![2 => Just(Token::Missing), 1 => Just(Token::Foreign), 6 => issued];
    let owner = proptest::option::of(prop_oneof!["ns", "old"]);
    let answer = proptest::option::of("Waiting: [a-z]{3}");
    (owner, answer, place, token)
        .prop_map(|(owner, answer, place, token)| seen(Request { owner, answer, ..request() }, place, token))
}

proptest! {
    #[test]
    fn every_world_comes_to_rest(world in worlds()) {
        let (done, _) = steps(world.clone());
        prop_assert!(issues(&done) <= 1, "{:#?}", done);
        if let Place::Ours(ours) = &world.place {
            if ours.policy == Policy::OnlyOnce && ours.issued.is_some() {
                prop_assert_eq!(issues(&done), 0);
            }
            // A Secret that is there was issued, on record or not.
            let there = matches!(&world.token, Token::Issued(s) if s.namespace == ours.uid);
            if ours.policy == Policy::OnlyOnce && there {
                prop_assert_eq!(issues(&done), 0);
            }
        } else if world.place != Place::Free {
            let answers = done.iter().all(|s| matches!(s, Step::Answer { .. } | Step::Retract(_)));
            prop_assert!(answers);
        }
        // Nothing is recorded before the Secret is there.
        let record = done.iter().position(|s| matches!(s, Step::Record { .. }));
        let issue = done.iter().position(|s| matches!(s, Step::Issue { .. }));
        if let (Some(record), Some(issue)) = (record, issue)
            && !matches!(world.token, Token::Issued(_))
        {
            prop_assert!(issue < record);
        }
    }
}
