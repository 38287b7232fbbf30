//! The next version of the contract, rehearsed: `tests/evolution/v0.2` adds a field to what a rule is
//! told and one to what it answers. A host that speaks both versions runs a binary that was shipped for
//! the first one, unchanged and with the same decisions, beside a rule that is built for the second.
//!
//! What such a host does is little: it links both, looks at the exports once to see which version a
//! component speaks, and leaves out on the way in, and adds on the way back, what the first does not
//! have. The host of this release speaks the first alone and refuses the second by its name.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stampcard_runtime::{Candidate, examine};
use stampcard_sdk::cases::{self, NoAnswer, default_shop};
use std::path::{Path, PathBuf};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "point-formula-plugin",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

mod v0_2 {
    wasmtime::component::bindgen!({
        path: "../../tests/evolution/v0.2",
        world: "point-formula-plugin",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

/// What a call may say and the rehearsal does not listen to.
struct Deaf;

impl v0_1::stampcard::plugin::log::Host for Deaf {
    fn log(&mut self, _: v0_1::stampcard::plugin::log::Level, _: String) {}
}

impl v0_2::stampcard::plugin::log::Host for Deaf {
    fn log(&mut self, _: v0_2::stampcard::plugin::log::Level, _: String) {}
}

impl v0_1::stampcard::plugin::types::Host for Deaf {}
impl v0_2::stampcard::plugin::types::Host for Deaf {}

/// A rule, by the version of the contract that its exports name.
enum Rule {
    First(v0_1::PointFormulaPlugin),
    Second(v0_2::PointFormulaPlugin),
}

struct Host {
    engine: Engine,
    linker: Linker<Deaf>,
}

impl Host {
    fn new() -> Host {
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        v0_1::PointFormulaPlugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |deaf| deaf)
            .expect("the first version links");
        v0_2::PointFormulaPlugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |deaf| deaf)
            .expect("the second links beside it");
        Host { engine, linker }
    }

    fn compile(&self, component: &[u8]) -> Component {
        Component::new(&self.engine, component).expect("a component")
    }

    fn instance(&self, component: &Component) -> (Store<Deaf>, Rule) {
        let mut store = Store::new(&self.engine, Deaf);
        let first = v0_1::PointFormulaPlugin::instantiate(&mut store, component, &self.linker);
        let rule = match first {
            Ok(rule) => Rule::First(rule),
            Err(_) => Rule::Second(
                v0_2::PointFormulaPlugin::instantiate(&mut store, component, &self.linker)
                    .expect("it speaks one of both"),
            ),
        };
        (store, rule)
    }

    /// Asks a fresh instance. What it is told and what it answers is the second version's, whatever it
    /// speaks itself.
    fn ask(
        &self,
        component: &Component,
        configuration: &str,
        shop: &Value,
        input: &v0_2::stampcard::plugin::types::Input,
    ) -> Result<v0_2::stampcard::plugin::types::PointAnswer, Value> {
        let (mut store, rule) = self.instance(component);
        match rule {
            Rule::First(rule) => {
                let shop: v0_1::stampcard::plugin::types::Shop = as_other(shop);
                let configured = rule.stampcard_plugin_lifecycle().call_configure(
                    &mut store,
                    configuration,
                    &shop,
                );
                configured
                    .expect("no trap")
                    .map_err(|refusal| json!(refusal))?;
                let answer = rule
                    .stampcard_plugin_point_formula()
                    .call_decide(&mut store, &as_other(input));
                let answer = answer.expect("no trap");
                answer
                    .map(|answer| as_other(&answer))
                    .map_err(|refusal| json!(refusal))
            }
            Rule::Second(rule) => {
                let shop: v0_2::stampcard::plugin::types::Shop = as_other(shop);
                let configured = rule.stampcard_plugin_lifecycle().call_configure(
                    &mut store,
                    configuration,
                    &shop,
                );
                configured
                    .expect("no trap")
                    .map_err(|refusal| json!(refusal))?;
                let answer = rule
                    .stampcard_plugin_point_formula()
                    .call_decide(&mut store, input);
                answer.expect("no trap").map_err(|refusal| json!(refusal))
            }
        }
    }
}

/// The same in the words of another version: what it does not have is left out, and what the other one
/// does not say is nothing.
fn as_other<T: DeserializeOwned>(one: &impl Serialize) -> T {
    let one = serde_json::to_value(one).expect("plain data");
    serde_json::from_value(one).expect("the versions differ by what may be left out")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The example as it was built for the first release.
fn shipped() -> Vec<u8> {
    let file = root().join("tests/guests/shipped/tenth-coffee-contract-0.1.0.wasm");
    std::fs::read(file).expect("it is kept")
}

/// A rule that is built for the second version.
fn next() -> Vec<u8> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    stampcard_build::component(root().join("tests/guests/next"), target.join("plugins"))
        .expect("the guest builds")
}

/// What a case says, in the second version's words and in some weather.
fn told(input: &impl Serialize, weather: Option<&str>) -> v0_2::stampcard::plugin::types::Input {
    let mut input: v0_2::stampcard::plugin::types::Input = as_other(input);
    input.event.weather = weather.map(str::to_owned);
    input
}

#[test]
fn a_binary_of_the_first_version_decides_unchanged_in_a_host_that_speaks_the_second() {
    let host = Host::new();
    let component = host.compile(&shipped());
    let cases = cases::load(root().join("examples/tenth-coffee/cases")).expect("its cases");
    assert!(cases.len() >= 4);
    for case in &cases {
        let ran = cases::run(case, |_, configuration, shop, input| {
            let answer = host.ask(
                &component,
                configuration,
                &json!(shop),
                &told(input, Some("rain")),
            );
            let answer = answer.map_err(|refusal| NoAnswer::Failed(refusal.to_string()))?;
            assert!(answer.awards.iter().all(|award| award.campaign.is_none()));
            Ok::<_, NoAnswer>(json!(answer))
        });
        ran.unwrap_or_else(|failure| panic!("{}: {}", case.name, failure.problem));
    }
}

#[test]
fn a_rule_of_the_second_version_is_told_what_is_new_beside_one_of_the_first() {
    let host = Host::new();
    let (next, shipped) = (host.compile(&next()), host.compile(&shipped()));
    let cases = cases::load(root().join("examples/tenth-coffee/cases")).expect("its cases");
    let shop = json!(default_shop());
    let mut asked = 0;
    for case in &cases {
        let _ = cases::run(case, |_, configuration, _, input| {
            asked += 1;
            for (weather, points) in [(Some("rain"), 1), (Some("sun"), 0), (None, 0)] {
                let input = told(input, weather);
                let second = host.ask(&next, "{}", &shop, &input).expect("an answer");
                let campaigns = second.awards.iter().map(|award| award.campaign.as_deref());
                assert_eq!(
                    campaigns.collect::<Vec<_>>(),
                    vec![Some("rainy days"); points]
                );
                let first = host.ask(&shipped, configuration, &shop, &input);
                first.expect("the first knows nothing of the weather");
            }
            Err::<Value, _>(NoAnswer::Failed("asked".into()))
        });
    }
    assert!(asked > 0);
}

#[test]
fn the_host_of_this_release_refuses_the_second_version_by_its_name() {
    let refused = examine(&Candidate {
        name: "next".into(),
        file: "name = 'next'\nversion = '1.0.0'\nroles = ['point-formula']\nevents = ['*']\n"
            .into(),
        component: Some(next()),
        schema: None,
        was_live: false,
        source: None,
    });
    let told = refused.expect_err("it speaks 0.1").to_string();
    assert!(told.contains("0.2.0") && told.contains("0.1"), "{told}");
}
