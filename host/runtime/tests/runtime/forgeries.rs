//! Files that are no honest plugin: each is refused with its reason, in time and within memory, and
//! what is live goes on answering meanwhile.

use crate::given::{book, candidate, component, engine_in, hostile, input, sale, shop, temporary};
use stampcard_pipeline::rules::Rules;
use stampcard_runtime::limits::CompileLimits;
use stampcard_runtime::{Candidate, Room, RuleBook};
use std::fmt::Write;

macro_rules! forgeries {
    ($($(#[doc = $about:literal])* $name:ident,)*) => {
        /// One without a file and an expectation below does not compile.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Forgery {
            $($(#[doc = $about])* $name,)*
        }

        const ALL: &[Forgery] = &[$(Forgery::$name,)*];
    };
}

forgeries! {
    /// Nothing at all.
    Empty,
    /// A text with the right ending.
    Text,
    /// The first half of a plugin.
    Truncated,
    /// Bytes of no meaning after the right beginning.
    Garbage,
    /// A module where a component belongs.
    CoreModule,
    /// Components within components, as deep as bytes go.
    DeepNest,
    /// Claims a role that it does not have.
    WrongRole,
    /// Claims fewer roles than it has.
    ConcealedRole,
    /// Claims a tier that the shop does not have.
    ForeignTier,
    /// Imports a socket.
    ForbiddenImport,
    /// Is of a contract that does not exist yet.
    FutureContract,
    /// A manifest whose tables go a hundred thousand deep.
    DeepManifest,
    /// Limits that nobody may have.
    GreedyManifest,
    /// A program of 100 KB that keeps a compiler busy for minutes.
    CompileTime,
    /// One that makes a compiler want more memory than it may have.
    CompileMemory,
}

/// The files, and words of the refusal.
fn file_and_words(forgery: Forgery) -> (Candidate, &'static str) {
    let bytes = |bytes: Vec<u8>| Candidate {
        component: Some(bytes),
        ..hostile("None", "")
    };
    let whole = component("hostile");
    match forgery {
        Forgery::Empty => (bytes(Vec::new()), "hostile.wasm: "),
        Forgery::Text => (bytes(b"name = 'hostile'".to_vec()), "hostile.wasm: "),
        Forgery::Truncated => (bytes(whole[..whole.len() / 2].to_vec()), "hostile.wasm: "),
        Forgery::Garbage => (
            bytes([&whole[..8], &[0xa5; 4_096]].concat()),
            "hostile.wasm: ",
        ),
        Forgery::CoreModule => (bytes(wat("(module)")), "module"),
        Forgery::DeepNest => (
            bytes(b"\0asm\x0d\0\x01\0\x04\xff\xff\xff\xff\x0f".repeat(4_000)),
            "hostile.wasm: ",
        ),
        Forgery::WrongRole => (
            candidate("hostile", "hostile", "tier-rule", ""),
            "claims the roles tier-rule, and the component has point-formula",
        ),
        Forgery::ConcealedRole => (
            candidate("usurper", "usurper", "tier-rule", ""),
            "the component has segment-rule, tier-rule, follow-up-trigger",
        ),
        Forgery::ForeignTier => (
            candidate(
                "hostile",
                "hostile",
                "point-formula",
                "[tiers.diamond]\nexplain = 'Mine.'",
            ),
            "diamond",
        ),
        Forgery::ForbiddenImport => (
            bytes(wat(
                r#"(component (import "wasi:sockets/tcp@0.2.3" (instance)))"#,
            )),
            "a rule has no network",
        ),
        Forgery::FutureContract => (
            bytes(wat(
                r#"(component (instance $i) (export "stampcard:plugin/point-formula@7.0.0" (instance $i)))"#,
            )),
            "7.0.0",
        ),
        Forgery::DeepManifest => {
            let deep = format!(
                "[config]\ndeep = {}1{}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            );
            (
                candidate("hostile", "hostile", "point-formula", &deep),
                "hostile.toml: ",
            )
        }
        Forgery::GreedyManifest => (
            hostile("None", "fuel = 9000000000"),
            "limits.fuel must be between 1 and 200000000",
        ),
        Forgery::CompileTime => (bytes(bomb()), "took longer to compile than 1 seconds"),
        Forgery::CompileMemory => (bytes(bomb()), "wanted more than 100000000 bytes of memory"),
    }
}

/// How much the compiler may use for it.
fn room(forgery: Forgery) -> CompileLimits {
    let usual = CompileLimits::default();
    match forgery {
        Forgery::CompileTime => CompileLimits {
            cpu_seconds: 1,
            ..usual
        },
        Forgery::CompileMemory => CompileLimits {
            memory_bytes: 100_000_000,
            ..usual
        },
        _ => usual,
    }
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A function that jumps between thousands of places and moves thousands of values around in each.
fn bomb() -> Vec<u8> {
    const PLACES: usize = 5_000;
    let mut body = "loop ".to_owned() + &"block ".repeat(PLACES) + "local.get 0 br_table";
    for place in 0..=PLACES {
        write!(body, " {}", place % PLACES).expect("a text can be written to");
    }
    for place in 0..PLACES {
        let [one, other, sum] = [7_919, 104_729, 1_299_709].map(|prime| place * prime % PLACES + 1);
        let back = PLACES - 1 - place;
        write!(
            body,
            " end local.get {one} local.get {other} i64.add local.set {sum} local.get 0 br_if {back}"
        )
        .expect("a text can be written to");
    }
    let locals = "i64 ".repeat(PLACES);
    wat(&format!(
        r#"(component (core module $m (func (param i32) (local {locals}) {body} end))
            (core instance (instantiate $m)) (instance $i)
            (export "stampcard:plugin/lifecycle@0.1.0" (instance $i))
            (export "stampcard:plugin/point-formula@0.1.0" (instance $i)))"#
    ))
}

#[test]
fn every_forgery_is_refused_with_its_reason_and_what_is_live_stays_live() {
    for forgery in ALL.iter().copied() {
        let room = Room {
            compile: room(forgery),
            ..Room::default()
        };
        let engine = engine_in(&temporary("compiled"), room);
        let (candidate, words) = file_and_words(forgery);
        let refused = RuleBook::load(&engine, &shop(), vec![candidate], &[], None);
        let [failure] = refused.not_loaded() else {
            panic!("{forgery:?} was loaded");
        };
        let reason = failure.reason.to_string();
        assert!(reason.contains(words), "{forgery:?}: {reason}");
        assert!(
            reason.len() < 2_000,
            "{forgery:?}: {} bytes of reason",
            reason.len()
        );
    }
}

#[test]
fn who_is_live_is_asked_while_a_bomb_is_being_compiled_and_stays_when_it_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let room = Room {
        compile: room(Forgery::CompileTime),
        ..Room::default()
    };
    let engine = engine_in(cache.path(), room);
    // A machine that compiles a bomb beside other tests has little time for anybody.
    let live = book(vec![hostile("None", "deadline_ms = 2_000")]);
    let asked = std::thread::scope(|scope| {
        let (bomb, _) = file_and_words(Forgery::CompileTime);
        let (engine, live) = (&engine, &live);
        let loading =
            scope.spawn(move || RuleBook::load(engine, &shop(), vec![bomb], &[], Some(live)));
        let mut asked = 0;
        while !loading.is_finished() {
            let call = live.point_formula(0, &sale("a", 1), &input());
            assert!(call.result.is_ok(), "{:?}", call.result);
            asked += 1;
        }
        let after = loading.join().expect("nothing panics");
        assert_eq!(after.not_loaded().len(), 1);
        assert_eq!(after.plugins(), live.plugins(), "the version before stays");
        asked
    });
    assert!(asked > 10, "it was asked {asked} times");
}
