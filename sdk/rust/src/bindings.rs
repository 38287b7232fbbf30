//! The contract of `wit/v0.1` as Rust, and nothing by hand but its defaults.
//!
//! Each role is a world of its own. A world's description is put into the plugin by its export
//! macro, so a plugin carries only the roles that it names in [`export!`](crate::export).

/// The types of the contract, shared by every role. As JSON they look as serde has them by
/// default, with one kindness: a field that is left out has its default, and an unknown one is
/// an error.
pub mod types {
    wit_bindgen::generate!({
        path: "wit/v0.1",
        inline: "package stampcard:sdk; world types { import stampcard:plugin/types@0.1.0; }",
        generate_all,
        generate_unused_types: true,
        // Leaves `std::error::Error` out of `Refusal` (this crate has no feature "std"), so that
        // a refusal can be made of every other error with `?`.
        std_feature,
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
        additional_type_attributes: {
            "stampcard:plugin/types@0.1.0/event": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/place": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/local-time": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/sale": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/order": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/line": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/discount": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/tender": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/return": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/original-sale": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/past-award": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/returned-line": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/exchange": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/profile-change": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/consent-change": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/tag-change": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/visit": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/review": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/customer": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/membership": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/standing": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/consent": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/birthday": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/held-offer": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/referral": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/person": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/tally": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/totals": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/fact": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/input": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/so-far": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/earned": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/tier-change": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/after": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/segment-answer": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/membership-change": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/tag-setting": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/point-answer": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/award": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/tier-answer": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/placement": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/next-tier": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/follow-up-answer": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/follow-up": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/prompt": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/discount-offer": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/goods": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/fault": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/shop": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "stampcard:plugin/types@0.1.0/coverage": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/payment-state": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/award-kind": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/recipient": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/on-return": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/memory": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/next-review": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/progress-unit": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/discount-scope": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/offer-code": [#[derive(Default)]],
            "stampcard:plugin/types@0.1.0/purpose": [#[derive(Default)]],
        },
        additional_member_attributes: {
            "stampcard:plugin/types@0.1.0/coverage.whole": [#[default]],
            "stampcard:plugin/types@0.1.0/payment-state.paid": [#[default]],
            "stampcard:plugin/types@0.1.0/award-kind.base": [#[default]],
            "stampcard:plugin/types@0.1.0/recipient.customer": [#[default]],
            "stampcard:plugin/types@0.1.0/on-return.proportional": [#[default]],
            "stampcard:plugin/types@0.1.0/memory.keep": [#[default]],
            "stampcard:plugin/types@0.1.0/next-review.keep": [#[default]],
            "stampcard:plugin/types@0.1.0/progress-unit.spend": [#[default]],
            "stampcard:plugin/types@0.1.0/discount-scope.basket": [#[default]],
            "stampcard:plugin/types@0.1.0/offer-code.no-code": [#[default]],
            "stampcard:plugin/types@0.1.0/purpose.marketing": [#[default]],
        },
    });

    pub use stampcard::plugin::types::*;

    impl Default for Body {
        fn default() -> Self {
            Body::Sale(Sale::default())
        }
    }

    impl Default for Amount {
        fn default() -> Self {
            Amount::Base(0)
        }
    }

    impl Default for DiscountValue {
        fn default() -> Self {
            DiscountValue::Amount(0)
        }
    }
}

/// The import and the export that every plugin has.
pub mod core {
    wit_bindgen::generate!({
        path: "wit/v0.1",
        inline: "package stampcard:sdk; world core {
            import stampcard:plugin/log@0.1.0;
            export stampcard:plugin/lifecycle@0.1.0;
        }",
        with: { "stampcard:plugin/types@0.1.0": crate::bindings::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
    });
}

macro_rules! role {
    ($module:ident, $export:literal, $inline:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit/v0.1",
                inline: $inline,
                with: { "stampcard:plugin/types@0.1.0": crate::bindings::types },
                generate_all,
                pub_export_macro: true,
                export_macro_name: $export,
            });
        }
    };
}

role!(
    segment_rule,
    "export_segment_rule",
    "package stampcard:sdk; world segment-rule { export stampcard:plugin/segment-rule@0.1.0; }"
);
role!(
    point_formula,
    "export_point_formula",
    "package stampcard:sdk; world point-formula { export stampcard:plugin/point-formula@0.1.0; }"
);
role!(
    tier_rule,
    "export_tier_rule",
    "package stampcard:sdk; world tier-rule { export stampcard:plugin/tier-rule@0.1.0; }"
);
role!(
    follow_up_trigger,
    "export_follow_up_trigger",
    "package stampcard:sdk; world follow-up-trigger { export stampcard:plugin/follow-up-trigger@0.1.0; }"
);
