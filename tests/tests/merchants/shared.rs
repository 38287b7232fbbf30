//! What shops of one server share: compiled plugins, and nothing else that could be told apart.

use crate::apart::bought;
use crate::broken::until_open;
use serde_json::json;
use stampcard_tests::Shops;
use stampcard_tests::shops::figure;
use std::ffi::OsStr;

#[test]
fn a_plugin_that_two_shops_have_is_compiled_once_and_is_in_memory_once() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let cache = tempfile::tempdir().expect("a temporary folder");
    let fresh: [(&str, &OsStr); 1] = [("STAMPCARD_CACHE", cache.path().as_os_str())];
    let components = |compiled: f64, id: &str| {
        let server = shops.serve_in(&fresh);
        for name in ["soho", "brooklyn"] {
            until_open(&server, name);
            let keys = &shops[name].keys;
            let outcome = server.post_as(&keys.pos, "/v1/events", &bought(id, id));
            assert_eq!(
                outcome.body["customer"]["balance"],
                json!(10),
                "{name}: {}",
                outcome.body
            );
            let plugins = server.get_as(&keys.operator, "/v1/plugins");
            let live = plugins.body["plugins"].as_array().map(Vec::len);
            assert_eq!(live, Some(4), "{}", plugins.body);
        }
        let metrics = server.operations("/metrics");
        let of = |name| figure(&metrics, name).expect(name);
        assert_eq!(of("stampcard_components_in_memory "), 4.0);
        assert_eq!(of("stampcard_components_compiled_total "), compiled);
        server.stop();
    };
    components(4.0, "1");
    // And never again: the cache has them.
    components(0.0, "2");
}

#[test]
fn a_shop_that_comes_later_compiles_nothing() {
    let mut shops = Shops::new(&["soho"]);
    let cache = tempfile::tempdir().expect("a temporary folder");
    let server = shops.serve_in(&[("STAMPCARD_CACHE", cache.path().as_os_str())]);
    let compiled = || {
        figure(
            &server.operations("/metrics"),
            "stampcard_components_compiled_total ",
        )
    };
    until_open(&server, "soho");
    assert_eq!(compiled(), Some(4.0));
    shops.add("brooklyn");
    until_open(&server, "brooklyn");
    assert_eq!(compiled(), Some(4.0));
    server.stop();
}

#[test]
fn figures_say_of_which_shop_they_are() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    let soho = &shops["soho"].keys;
    for number in 0..3 {
        let sale = bought(&number.to_string(), "ana");
        assert_eq!(server.post_as(&soho.pos, "/v1/events", &sale).status, 200);
    }
    let metrics = server.operations("/metrics");
    let of = |sample: &str| figure(&metrics, sample);
    assert_eq!(of("stampcard_customers{merchant=\"soho\"} "), Some(1.0));
    assert_eq!(of("stampcard_customers{merchant=\"brooklyn\"} "), Some(0.0));
    assert_eq!(
        of("stampcard_merchant_open{merchant=\"brooklyn\"} "),
        Some(1.0)
    );
    let sold = "stampcard_http_answers_total{merchant=\"soho\",method=\"POST\",route=\"/v1/events\",status=\"200\"} ";
    assert_eq!(of(sold), Some(3.0), "{metrics}");
    // Prometheus takes each figure's samples in one piece only.
    let text = metrics.as_str().expect("it is text");
    let mut heads: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    let all = heads.len();
    heads.sort_unstable();
    heads.dedup();
    assert_eq!(heads.len(), all, "{text}");
    server.stop();
}
