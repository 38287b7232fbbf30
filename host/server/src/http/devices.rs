//! The devices of the shop, and which of them have not heard of the rules that are live.

use super::Door;
use super::ask::{Flag, Query};
use super::page::{Page, Paging};
use super::problem::Problem;
use crate::clock;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderName;
use serde::{Deserialize, Serialize};
use stampcard_pipeline::outcome::Time;
use stampcard_store::Device;
use std::borrow::Cow;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Tells the number of the rule book that is live, in every answer behind a key.
pub const RULE_BOOK: HeaderName = HeaderName::from_static("stampcard-rule-book");

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DevicesAsked {
    /// `1` gives only those that have not heard of the live rule book.
    #[param(value_type = Option<String>, pattern = "^(0|1|true|false)$", example = "1")]
    pub behind: Option<Flag>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

/// The devices that have said who they are, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceList {
    /// The number of the rule book that is live; it rises with every change of the rules and of the
    /// shop's policies.
    pub rule_book: i64,
    /// How many devices are known, and how many of them have not heard of it.
    pub known: usize,
    pub behind: usize,
    pub devices: Vec<DeviceView>,
    /// Give it back as `cursor` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceView {
    /// What it calls itself.
    #[schema(example = "till-7")]
    pub device: String,
    /// Where it said last that it stands.
    #[schema(example = "soho")]
    pub location: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub last_seen: Time,
    /// The newest rule book of which it has been told.
    pub rule_book: i64,
    /// It has not called since other rules went live.
    pub behind: bool,
}

pub async fn devices(
    State(door): State<Arc<Door>>,
    Query(asked): Query<DevicesAsked>,
) -> Result<Json<DeviceList>, Problem> {
    let DevicesAsked {
        behind,
        limit,
        cursor,
    } = asked;
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<String>()?);
    let live = door.merchant.live().number;
    let devices = door.merchant.devices();
    let behind = behind.unwrap_or_default().0.then_some(live);
    let found = devices.after(after.as_deref(), behind, rows as usize + 1);
    let page = Page::of(found, rows, |device| device.name.clone());
    let count = devices.count(live);
    Ok(Json(DeviceList {
        rule_book: live,
        known: count.known,
        behind: count.behind,
        devices: page
            .items
            .into_iter()
            .map(|device| view(device, live))
            .collect(),
        next: page.next,
    }))
}

fn view(device: Device, live: i64) -> DeviceView {
    DeviceView {
        behind: device.rule_book < live,
        device: device.name,
        location: device.location,
        last_seen: Time(device.seen_at),
        rule_book: device.rule_book,
    }
}

/// Who says in an event that it is them.
pub struct Speaker {
    device: String,
    location: Option<String>,
}

impl Speaker {
    /// Whom an event names as its device. Many do not even have the word.
    pub fn of(event: &[u8]) -> Option<Speaker> {
        #[derive(Deserialize)]
        struct Told<'a> {
            #[serde(borrow)]
            data: Said<'a>,
        }
        #[derive(Deserialize)]
        struct Said<'a> {
            #[serde(borrow)]
            device: Cow<'a, str>,
            #[serde(borrow, default)]
            location: Option<Cow<'a, str>>,
        }
        memchr::memmem::find(event, b"\"device\"")?;
        let Told { data } = serde_json::from_slice(event).ok()?;
        Some(Speaker {
            device: data.device.into_owned(),
            location: data.location.map(Cow::into_owned),
        })
    }
}

impl Door {
    /// A device has called and is answered.
    pub fn heard_of(&self, speaker: Option<Speaker>) {
        if let Some(Speaker { device, location }) = speaker {
            self.heard_of_device(&device, location.as_deref());
        }
    }

    /// The same for a call that is no event.
    pub fn heard_of_device(&self, device: &str, location: Option<&str>) {
        let live = self.merchant.live().number;
        let devices = self.merchant.devices();
        devices.heard(device, location, live, clock::now());
    }
}
