//! What is refused when a plugin is loaded, and with which words.

use crate::given::{book, candidate, component, engine, engine_with, hostile, input, sale, shop};
use stampcard_pipeline::rules::{Amount, MessagesTo, Role, Rules};
use stampcard_runtime::limits::RESIDENT_MEMORY_BYTES;
use stampcard_runtime::{
    Candidate, ComponentError, Engine, LoadError, PackPlugin, RuleBook, inspect,
};
use std::fs;
use std::path::PathBuf;

/// The reason for which a candidate is not loaded, in its words.
fn refusal(candidate: Candidate) -> String {
    let what = candidate.file.clone();
    let book = book(vec![candidate]);
    assert_eq!(book.not_loaded().len(), 1, "{what} was loaded");
    book.not_loaded()[0].reason.to_string()
}

fn with_component(text: &str) -> Candidate {
    Candidate {
        component: Some(wat::parse_str(text).unwrap()),
        ..hostile("None", "")
    }
}

#[test]
fn a_component_says_what_it_is() {
    let seen = inspect(&component("hostile")).unwrap();
    assert_eq!(
        (seen.contract.as_deref(), seen.roles.as_slice()),
        (Some("0.1"), &[Role::PointFormula][..])
    );
    assert!(
        seen.imports.iter().all(|import| import.refused.is_none()),
        "{:?}",
        seen.imports
    );
    assert!(seen.digest.starts_with("sha256:"));
}

#[test]
fn what_is_no_plugin_is_refused_by_what_it_is() {
    for (text, words) in [
        ("(module)", "this is a core module, not a component"),
        (
            "(component)",
            "exports no role of the contract; it exports nothing",
        ),
        (
            r#"(component (instance $i) (export "stampcard:plugin/tier-rule@0.1.0" (instance $i)))"#,
            "not stampcard:plugin/lifecycle",
        ),
        (
            r#"(component (instance $i) (export "stampcard:plugin/tier-rule@0.2.0" (instance $i)))"#,
            "speaks version 0.2.0 of the plugin contract, and this host speaks 0.1; update Stampcard",
        ),
        (
            r#"(component (instance $i)
                (export "stampcard:plugin/lifecycle@0.1.0" (instance $i))
                (export "stampcard:plugin/point-formula@0.1.0" (instance $i)))"#,
            "does not fit the contract that it claims to speak: lifecycle.configure: it is not exported",
        ),
        (
            r#"(component
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f")))
                (instance $l (export "configure" (func $f)))
                (export "stampcard:plugin/lifecycle@0.1.0" (instance $l))
                (export "stampcard:plugin/point-formula@0.1.0" (instance $l)))"#,
            "does not fit the contract that it claims to speak: lifecycle.configure: ",
        ),
    ] {
        let refusal = refusal(with_component(text));
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
}

#[test]
fn a_component_of_too_many_or_too_large_parts_is_refused() {
    for (parts, words) in [
        (
            "(core module $m (memory 10000)) (core instance (instantiate $m))".to_owned(),
            "memory",
        ),
        (
            "(core module $m) ".to_owned() + &"(core instance (instantiate $m)) ".repeat(65),
            "instances",
        ),
        (
            "(core module $m (table 70000 funcref)) (core instance (instantiate $m))".to_owned(),
            "table",
        ),
        (
            "(core module $m (memory i64 1)) (core instance (instantiate $m))".to_owned(),
            "memory64",
        ),
        (
            "(core module $m (memory 1 2 shared)) (core instance (instantiate $m))".to_owned(),
            "threads",
        ),
    ] {
        let refusal = refusal(with_component(&format!(
            r#"(component {parts} (instance $i)
                (export "stampcard:plugin/lifecycle@0.1.0" (instance $i))
                (export "stampcard:plugin/point-formula@0.1.0" (instance $i)))"#
        )));
        assert!(refusal.contains(words), "{parts}: {refusal}");
    }
}

#[test]
fn what_a_plugin_may_not_import_is_refused_by_name() {
    for (import, words) in [
        (
            "wasi:sockets/tcp@0.2.3",
            "wasi:sockets/tcp@0.2.3 (a rule has no network",
        ),
        (
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:http/outgoing-handler@0.2.0 (a rule has no network",
        ),
        (
            "wasi:keyvalue/store@0.2.0",
            "wasi:keyvalue/store@0.2.0 (a rule has no storage",
        ),
        (
            "stampcard:plugin/log@0.2.0",
            "stampcard:plugin/log@0.2.0 (this host speaks version 0.1",
        ),
    ] {
        let component = format!(r#"(component (import "{import}" (instance)))"#);
        let refusal = refusal(with_component(&component));
        assert!(refusal.contains(words), "{import}: {refusal}");
        let seen = inspect(&wat::parse_str(component).unwrap()).unwrap();
        assert!(seen.imports[0].refused.is_some(), "{import}");
    }
}

#[test]
fn a_manifest_that_lies_about_its_roles_is_refused() {
    let claims = |role| candidate("hostile", "hostile", role, "");
    let words = refusal(claims("tier-rule"));
    assert_eq!(
        words,
        "hostile.toml claims the roles tier-rule, and the component has point-formula; write what it has"
    );
}

#[test]
fn personal_data_must_be_asked_for_and_granted() {
    let asks = |more: &str| candidate("hostile", "hostile", "point-formula", more);
    for (more, words) in [
        (
            "personal = ['email', 'name']\ngrant = ['name']",
            "write `grant = [\"email\"]` into hostile.toml",
        ),
        ("grant = ['phone']", "which the plugin does not ask for"),
    ] {
        let refusal = refusal(asks(more));
        assert!(refusal.contains(words), "{more}: {refusal}");
    }
    assert!(
        book(vec![asks("personal = ['email']\ngrant = ['email']")])
            .not_loaded()
            .is_empty()
    );
}

#[test]
fn a_configuration_must_fit_its_schema() {
    let schema = "[configuration]\ntype = 'object'\nadditionalProperties = false\n\
                  [configuration.properties.rate]\ntype = 'integer'\nminimum = 1\n";
    for (more, words) in [
        ("[config]\nrate = 1".into(), "takes none"),
        (
            format!("{schema}[config]\nrate = 0"),
            "config.rate: 0 is less than the minimum of 1",
        ),
        (format!("{schema}[config]\nrat = 1"), "'rat' was unexpected"),
        (
            format!("{schema}[config]\nrate = 9007199254740992"),
            "config.rate: 9007199254740992 cannot be told exactly",
        ),
        ("[configuration]\ntype = 'nothing'".into(), "is not one"),
        (
            "configuration = 'rate.schema.json'".into(),
            "names the JSON Schema rate.schema.json, which is not there",
        ),
    ] {
        let refusal = refusal(candidate("hostile", "hostile", "point-formula", &more));
        assert!(refusal.contains(words), "{more}: {refusal}");
    }
}

#[test]
fn a_plugin_that_may_write_says_to_whom() {
    let says = |more: &str| {
        let more = format!("{more}\n[segments.mine]\nexplain = 'Is mine.'");
        let usurper = candidate("usurper", "usurper", "follow-up-trigger", &more);
        let roles = "'segment-rule', 'tier-rule', 'follow-up-trigger'";
        Candidate {
            file: usurper.file.replace("\"follow-up-trigger\"", roles),
            ..usurper
        }
    };
    for (more, words) in [
        (
            "",
            "usurper.toml: `messages_to` is missing: a follow-up trigger says whom its messages are for",
        ),
        (
            "messages_to = 'all'",
            "`messages_to` must be a list of segments, \"everybody\" or \"as-configured\"",
        ),
        (
            "messages_to = true",
            "`messages_to` must be a list of texts",
        ),
        (
            "messages_to = ['mint']",
            "usurper writes to the segment `mint`, which no plugin decides; did you mean `mine`?",
        ),
    ] {
        let refusal = refusal(says(more));
        assert!(refusal.contains(words), "{more}: {refusal}");
    }
    for (more, said) in [
        ("messages_to = 'everybody'", MessagesTo::Everybody),
        (
            "messages_to = ['mine']",
            MessagesTo::Segments(vec!["mine".into()]),
        ),
        ("messages_to = []", MessagesTo::Segments(Vec::new())),
        ("messages_to = 'as-configured'", MessagesTo::AsConfigured),
    ] {
        let book = book(vec![says(more)]);
        assert!(
            book.not_loaded().is_empty(),
            "{more}: {:?}",
            book.not_loaded()
        );
        assert_eq!(book.plugins()[0].messages_to, Some(said));
    }
    let from_before = Candidate {
        was_live: true,
        ..says("")
    };
    let book = book(vec![from_before]);
    assert!(book.not_loaded().is_empty(), "{:?}", book.not_loaded());
    assert_eq!(book.plugins()[0].messages_to, None);
}

#[test]
fn a_manifest_is_wrong_in_clear_words() {
    let file = |text: &str| Candidate {
        file: text.into(),
        ..hostile("None", "")
    };
    let manifest = |more: &str| {
        format!(
            "name = 'hostile'\nversion = '1.0.0'\nroles = ['point-formula']\nevents = ['*']\n{more}"
        )
    };
    for (text, words) in [
        ("name = ".to_owned(), "hostile.toml: not TOML: "),
        ("version = '1.0.0'".into(), "`name` is missing"),
        (
            manifest("").replace("1.0.0", "one"),
            "`one` is not a version such as 1.0.0",
        ),
        (
            manifest("").replace("'hostile'", "'other'"),
            "the file is named hostile.toml and says that it is `other`",
        ),
        (
            manifest("").replace("point-formula", "point-formulas"),
            "did you mean `point-formula`?",
        ),
        (
            manifest("").replace("['*']", "[]"),
            "events must not be empty",
        ),
        (
            manifest("").replace("'*'", "'Sale'"),
            "`Sale` is not a kind of event",
        ),
        (
            manifest("stateversion = 2"),
            "did you mean `state_version`?",
        ),
        (
            manifest("facts = ['categories']"),
            "did you mean `category`?",
        ),
        (
            manifest("facts = ['tag', 'tag']"),
            "facts names `tag` twice",
        ),
        (
            manifest("[segments.vip]\nexplains = 'x'"),
            "`segments.vip.explains` is not a key; did you mean `segments.vip.explain`?",
        ),
        (
            manifest("[limits]\nfuels = 1"),
            "limits.fuels is not a limit; did you mean `fuel`?",
        ),
        (
            manifest("[limits]\ndeadline_ms = 60000"),
            "limits.deadline_ms must be between 1 and 2000 milliseconds, not 60000",
        ),
        (
            manifest("pack = 'starter'"),
            "this program carries no `starter`",
        ),
    ] {
        let refusal = refusal(file(&text));
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
}

#[test]
fn a_pack_is_its_own_manifest_with_the_operators_file_above_it() {
    let bytes = component("hostile");
    let pack = PackPlugin {
        name: "starter",
        manifest: "name = 'starter'\nversion = '2.0.0'\nroles = ['point-formula']\nevents = ['sale.completed']\n\
                   configuration = 'schema.json'\nowns_configured = ['segments']",
        schema: Some(r#"{"type": "object"}"#),
        component: &bytes,
    };
    let file = "pack = 'starter'\nevents = ['*']\n[config.segments.vip]\nexplain = 'Spends a lot.'";
    let candidate = Candidate {
        name: "mine".into(),
        file: file.into(),
        component: None,
        schema: None,
        was_live: false,
        source: None,
    };
    let book = RuleBook::load(engine(), &shop(), vec![candidate], &[pack], None);
    assert!(book.not_loaded().is_empty(), "{:?}", book.not_loaded());
    let about = &book.plugins()[0];
    assert_eq!(
        (about.name.as_str(), about.version.as_str()),
        ("mine", "2.0.0")
    );
    assert_eq!(about.events, ["*"]);
    assert_eq!(
        about.segments,
        [("vip".to_owned(), "Spends a lot.".to_owned())]
    );
}

#[test]
fn without_a_component_and_without_a_pack_there_is_no_plugin() {
    let book = book(vec![Candidate {
        component: None,
        ..hostile("None", "")
    }]);
    assert!(matches!(
        *book.not_loaded()[0].reason,
        LoadError::NoComponent { .. }
    ));
}

// ------------------------------------------------------------- compiled code

#[test]
fn machine_code_from_outside_is_never_accepted() {
    let dir = tempfile::tempdir().unwrap();
    load(&engine_with(dir.path()));
    let code = fs::read(compiled(dir.path())).unwrap();
    let candidate = Candidate {
        component: Some(code.clone()),
        ..hostile("None", "")
    };
    match &*book(vec![candidate]).not_loaded()[0].reason {
        LoadError::Component { error, .. } => assert_eq!(error, &ComponentError::Precompiled),
        other => panic!("{other}"),
    }
    assert_eq!(inspect(&code), Err(ComponentError::Precompiled));
}

#[test]
fn what_was_compiled_once_is_not_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    load(&engine_with(dir.path()));
    // A compiler that cannot compile is not missed.
    load(&Engine::with_compiler(dir.path(), "/bin/false".into()).unwrap());
}

#[test]
fn damaged_code_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    load(&engine_with(dir.path()));
    let file = compiled(dir.path());
    let mut code = fs::read(&file).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    fs::write(&file, &code).unwrap();
    load(&engine_with(dir.path()));
    assert_ne!(fs::read(compiled(dir.path())).unwrap(), code);
}

#[test]
fn a_program_that_does_not_compile_is_told_apart_from_a_component_that_cannot_be() {
    for (program, words) in [
        ("/bin/true", "its main must call child_main first"),
        ("/bin/false", "ended with exit status: 1"),
        ("/nowhere", "the compiler /nowhere cannot be run"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::with_compiler(dir.path(), program.into()).unwrap();
        let book = RuleBook::load(&engine, &shop(), vec![hostile("None", "")], &[], None);
        let reason = book.not_loaded()[0].reason.to_string();
        assert!(reason.contains(words), "{program}: {reason}");
    }
}

#[test]
fn one_component_wanted_by_many_at_once_is_compiled_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load(&engine));
        }
    });
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

fn load(engine: &Engine) {
    let book = RuleBook::load(engine, &shop(), vec![hostile("None", "")], &[], None);
    assert!(book.not_loaded().is_empty(), "{:?}", book.not_loaded());
    assert!(
        book.point_formula(0, &sale("a", 1), &input())
            .result
            .is_ok()
    );
}

fn compiled(cache: &std::path::Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn an_ordinary_rule_stays_in_what_the_pool_keeps_resident() {
    let book = book(vec![candidate(
        "per-dollar",
        "per-dollar",
        "point-formula",
        "",
    )]);
    assert!(book.not_loaded().is_empty(), "{:?}", book.not_loaded());
    let call = book.point_formula(0, &sale("a", 10), &input());
    assert_eq!(call.result.unwrap().awards[0].amount, Amount::Base(10));
    // Beyond it every call would cost system calls, and two threads would wait for each other.
    assert!(
        call.usage.memory_bytes <= RESIDENT_MEMORY_BYTES as u64,
        "{}",
        call.usage.memory_bytes
    );
    assert!(
        call.usage.fuel * 100 < call.usage.fuel_limit,
        "{} of {}",
        call.usage.fuel,
        call.usage.fuel_limit
    );
}
