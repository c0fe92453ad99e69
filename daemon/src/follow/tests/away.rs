//! Projects of a stream over all that fail, or whose disks do not answer: the others go on, and of those nothing is
//! lost or given twice once they are back.

use tokio::time::{Instant, timeout};

use super::wide::of;
use super::*;
use crate::domain::cursor::{AllCursor, MAX_OPEN, MAX_SCOPES};
use crate::follow::forgotten::MOST;

const SECOND: Duration = Duration::from_secs(1);

/// Two projects, each with a running invocation of this id, and who follows all.
struct Pair {
    bad: Arc<Rows>,
    good: Arc<Rows>,
    projects: Arc<Mutex<Vec<Arc<Rows>>>>,
    changes: watch::Sender<u64>,
    registered: Registered,
}

const BAD: i64 = 1;
const GOOD: i64 = 2;

impl Pair {
    fn new() -> Pair {
        let hints = pokes();
        let (bad, good) = (project_with(&hints), project_with(&hints));
        bad.ours(BAD);
        good.ours(GOOD);
        let projects = Arc::new(Mutex::new(vec![Arc::clone(&bad), Arc::clone(&good)]));
        let scopes = [&bad, &good].map(|it| Scope::of_project(&it.root));
        Pair {
            bad,
            good,
            projects,
            changes: watch::Sender::new(0),
            registered: Arc::new(Mutex::new(Some(BTreeSet::from(scopes)))),
        }
    }

    async fn open(&self, after: &str, extent: Extent) -> Follower {
        self.open_at(after, Begin::First, extent).await
    }

    async fn open_at(&self, after: &str, begin: Begin, extent: Extent) -> Follower {
        let sources = Several {
            projects: Arc::clone(&self.projects),
            changes: self.changes.clone(),
            registered: Arc::clone(&self.registered),
        };
        let opening = Opening {
            hints: self.good.hints.clone(),
            after,
            begin,
            extent,
        };
        let opened = timeout(PATIENCE, opening.all(Box::new(sources))).await;
        opened.expect("opened in time").unwrap()
    }

    /// Writes a line to both, and tells of rows that are to be looked at.
    fn write(&self, n: usize) {
        self.bad.write(BAD, &line(n));
        self.good.write(GOOD, &line(n));
        self.bad.touch();
    }

    /// The next line of the good one, where the other gives none.
    async fn good_alone(&self, follower: &mut Follower, n: usize) -> Event {
        let event = some(follower, 1).await.remove(0);
        let (of, line_of) = (event.invocation, text(std::slice::from_ref(&event)));
        assert_eq!((of, line_of), (id(GOOD), line(n)));
        event
    }

    /// A project is opened, be it registered or not.
    fn comes(&self, project: &Arc<Rows>) {
        self.projects.lock().unwrap().push(Arc::clone(project));
        self.changes.send_modify(|count| *count += 1);
    }

    fn goes(&self, project: &Arc<Rows>) {
        let mut projects = self.projects.lock().unwrap();
        projects.retain(|it| !Arc::ptr_eq(it, project));
        drop(projects);
        self.changes.send_modify(|count| *count += 1);
    }

    fn is_registered(&self, project: &Arc<Rows>, is_registered: bool) {
        let scope = Scope::of_project(&project.root);
        let mut registered = self.registered.lock().unwrap();
        let registered = registered.as_mut().unwrap();
        match is_registered {
            true => assert!(registered.insert(scope)),
            false => assert!(registered.remove(&scope)),
        }
    }

    fn is_forgotten(&self, project: &Arc<Rows>) {
        self.is_registered(project, false);
        self.goes(project);
    }

    fn is_back(&self, project: &Arc<Rows>) {
        self.is_registered(project, true);
        self.comes(project);
    }

    fn asked(&self) -> usize {
        self.bad.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_or_hangs_is_left_out_and_goes_on_where_it_was() {
    for health in [Health::Broken, Health::Hung, Health::Mute] {
        let pair = Pair::new();
        let mut follower = pair.open("", Extent::Whole).await;
        pair.write(0);
        some(&mut follower, 2).await;

        pair.bad.becomes(health);
        pair.write(1);
        pair.good_alone(&mut follower, 1).await;
        pair.write(2);
        let cursor = pair.good_alone(&mut follower, 2).await.cursor;
        assert!(pair.asked() > 0, "{health:?}");

        // A cursor of that time speaks of it, and so does a stream that begins with that.
        let mut again = pair.open(&cursor, Extent::Whole).await;
        pair.write(3);
        for follower in [&mut follower, &mut again] {
            pair.good_alone(follower, 3).await;
        }
        pair.bad.becomes(Health::Well);
        for follower in [&mut follower, &mut again] {
            assert_eq!(of(&some(follower, 3).await, BAD), lines(1..4), "{health:?}");
        }
        pair.write(4);
        for follower in [&mut follower, &mut again] {
            let events = some(follower, 2).await;
            assert_eq!((of(&events, BAD), of(&events, GOOD)), (line(4), line(4)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_not_there_when_a_stream_of_last_lines_began_is_given_whole() {
    for health in [Health::Broken, Health::Hung, Health::Mute] {
        let pair = Pair::new();
        pair.write(0);
        pair.bad.becomes(health);
        let mut follower = pair.open_at("", Begin::Last(0), Extent::Whole).await;
        pair.write(1);
        pair.good_alone(&mut follower, 1).await;
        pair.bad.becomes(Health::Well);
        let back = of(&some(&mut follower, 2).await, BAD);
        assert_eq!(back, lines(0..2), "{health:?}");

        let new = project_with(&pair.good.hints);
        new.ours(3);
        new.write(3, &lines(5..7));
        pair.comes(&new);
        assert_eq!(of(&some(&mut follower, 2).await, 3), lines(5..7));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_costs_the_others_a_moment_once() {
    let pair = Pair::new();
    let mut follower = pair.open("", Extent::Whole).await;
    pair.write(0);
    some(&mut follower, 2).await;
    pair.bad.becomes(Health::Hung);
    pair.write(1);
    pair.good_alone(&mut follower, 1).await;
    let begun = Instant::now();
    for n in 2..100 {
        pair.write(n);
        let written = Instant::now();
        pair.good_alone(&mut follower, n).await;
        assert!(written.elapsed() < SECOND / 10, "{:?}", written.elapsed());
        tokio::time::advance(10 * SECOND).await;
    }
    // Nor is it asked for without pause.
    let most = begun.elapsed().as_secs() / 5 + 2;
    assert!(pair.asked() <= usize::try_from(most).unwrap());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_known_not_to_answer_costs_nothing() {
    let pair = Pair::new();
    pair.write(0);
    pair.bad.becomes(Health::Mute);
    let begun = Instant::now();
    let looked = rest(&mut pair.open("", Extent::Present).await).await;
    assert_eq!(
        (of(&looked, BAD), of(&looked, GOOD)),
        (String::new(), line(0))
    );
    assert!(begun.elapsed() < SECOND / 10, "{:?}", begun.elapsed());
    pair.bad.becomes(Health::Well);
    let back = rest(&mut pair.open(&looked[0].cursor, Extent::Present).await).await;
    assert_eq!(of(&back, BAD), line(0));
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_each_time_is_taken_up_ever_more_rarely() {
    let pair = Pair::new();
    let mut follower = pair.open("", Extent::Whole).await;
    pair.bad.becomes(Health::Broken);
    pair.write(0);
    pair.good_alone(&mut follower, 0).await;
    // It can be opened, as whoever is asked says, and not be read.
    let none = timeout(600 * SECOND, follower.next()).await;
    assert!(none.is_err());
    // At once, after 5 and 20 seconds, and each minute.
    assert!((10..16).contains(&pair.asked()), "{}", pair.asked());
    // Nor does it help to be told of changes without end.
    for _ in 0..100 {
        pair.changes.send_modify(|count| *count += 1);
        assert!(timeout(SECOND / 100, follower.next()).await.is_err());
    }
    assert!(pair.asked() < 18, "{}", pair.asked());
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_while_it_is_taken_up_keeps_its_place() {
    let pair = Pair::new();
    pair.write(0);
    let cursor = rest(&mut pair.open("", Extent::Present).await).await;
    let cursor = cursor.last().unwrap().cursor.clone();
    pair.write(1);
    pair.bad.becomes(Health::Broken);
    let looked = rest(&mut pair.open(&cursor, Extent::Present).await).await;
    assert_eq!(
        (of(&looked, BAD), of(&looked, GOOD)),
        (String::new(), line(1))
    );
    pair.bad.becomes(Health::Well);
    let back = rest(&mut pair.open(&looked[0].cursor, Extent::Present).await).await;
    assert_eq!((of(&back, BAD), of(&back, GOOD)), (line(1), String::new()));
}

#[tokio::test]
async fn a_gap_that_was_not_told_yet_is_told_by_who_comes_back() {
    let pair = Pair::new();
    pair.write(0);
    let cursor = rest(&mut pair.open("", Extent::Present).await).await;
    let cursor = cursor.last().unwrap().cursor.clone();
    pair.bad.rebuilt(BAD);
    let mut follower = pair.open(&cursor, Extent::Whole).await;
    // It goes before anything of it was given.
    pair.goes(&pair.bad);
    pair.write(1);
    pair.good_alone(&mut follower, 1).await;
    pair.comes(&pair.bad);
    let events = some(&mut follower, 3).await;
    assert_eq!(reasons(&events), ["rebuilt"]);
    assert_eq!(text(&events[1..]), lines(0..2));
}

#[tokio::test]
async fn projects_that_were_forgotten_take_few_places_in_cursors() {
    let pair = Pair::new();
    let mut follower = pair.open("", Extent::Whole).await;
    pair.write(0);
    some(&mut follower, 2).await;
    pair.goes(&pair.bad);
    // In each something runs, of which there is more to come.
    for n in 0..=MAX_SCOPES {
        let branch = project_with(&pair.good.hints);
        branch.ours(3);
        branch.write(3, &line(n));
        pair.is_back(&branch);
        assert_eq!(text(&some(&mut follower, 1).await), line(n));
        pair.is_forgotten(&branch);
    }
    // One that is away has its place.
    pair.write(1);
    let cursor = pair.good_alone(&mut follower, 1).await.cursor;
    let reaches = AllCursor::parse(&cursor).unwrap().reaches;
    assert!(reaches.len() <= MOST + 2, "{}", reaches.len());
    assert!(reaches.values().map(Reach::places).sum::<usize>() <= MAX_OPEN);
    pair.comes(&pair.bad);
    assert_eq!(text(&some(&mut follower, 1).await), line(1));
    // Nor is anything forgotten while nobody can tell what was.
    *pair.registered.lock().unwrap() = None;
    pair.goes(&pair.bad);
    pair.write(2);
    let cursor = pair.good_alone(&mut follower, 2).await.cursor;
    assert!(AllCursor::parse(&cursor).unwrap().reaches.len() <= MOST + 2);
}

#[tokio::test]
async fn one_that_was_forgotten_and_is_registered_again_goes_on_where_it_was() {
    let pair = Pair::new();
    let mut follower = pair.open("", Extent::Whole).await;
    pair.write(0);
    some(&mut follower, 2).await;
    for n in [1, 3] {
        pair.is_forgotten(&pair.bad);
        pair.write(n);
        let cursor = pair.good_alone(&mut follower, n).await.cursor;
        let mut again = pair.open(&cursor, Extent::Whole).await;
        pair.write(n + 1);
        for follower in [&mut follower, &mut again] {
            pair.good_alone(follower, n + 1).await;
        }
        pair.is_back(&pair.bad);
        for follower in [&mut follower, &mut again] {
            assert_eq!(text(&some(follower, 2).await), lines(n..n + 2));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_forgotten_and_comes_with_another_database_is_given_whole() {
    // At once, and where it fails at first.
    for health in [Health::Well, Health::Broken] {
        let pair = Pair::new();
        let mut follower = pair.open("", Extent::Whole).await;
        pair.write(0);
        some(&mut follower, 2).await;
        pair.is_forgotten(&pair.bad);
        pair.write(1);
        pair.good_alone(&mut follower, 1).await;
        pair.bad.origin.store(1, Ordering::Relaxed);
        pair.bad.becomes(health);
        pair.is_back(&pair.bad);
        let mut written = 2;
        if health == Health::Broken {
            pair.write(2);
            pair.good_alone(&mut follower, 2).await;
            pair.bad.becomes(Health::Well);
            written = 3;
        }
        let events = some(&mut follower, written + 1).await;
        assert_eq!(reasons(&events), ["other_database"], "{health:?}");
        assert_eq!(text(&events[1..]), lines(0..written), "{health:?}");
    }
}
