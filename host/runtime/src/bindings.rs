//! The contract of `wit/v0.1` as Rust, and nothing by hand.
//!
//! The types can be read from and written as JSON, so that a case written for a rule in any
//! language runs against its component.

wasmtime::component::bindgen!({
    path: "../../wit/v0.1",
    inline: "
        package stampcard:host;
        world plugin {
            import stampcard:plugin/log@0.1.0;
            export stampcard:plugin/lifecycle@0.1.0;
            export stampcard:plugin/segment-rule@0.1.0;
            export stampcard:plugin/point-formula@0.1.0;
            export stampcard:plugin/tier-rule@0.1.0;
            export stampcard:plugin/follow-up-trigger@0.1.0;
        }
    ",
    world: "stampcard:host/plugin",
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

pub use stampcard::plugin::types::*;
