//! Every limit of the HTTP door: its name, its unit and its reason.

use std::time::Duration;

/// The body of one event, in bytes; the line's own limit, so that nothing larger is even read.
pub const EVENT_BYTES_MAX: usize = stampcard_pipeline::limits::EVENT_BYTES_MAX;
/// The body of a batch, in bytes. A till that was offline for a day sends about 2 MB.
pub const BATCH_BYTES_MAX: usize = 8 << 20;
/// Events in one batch. Larger imports have `stampcard ingest`, which is faster.
pub const BATCH_EVENTS_MAX: usize = 1_000;
/// The body of a webhook, in bytes: an order of a web store with a hundred lines has about 300 KB.
pub const HOOK_BYTES_MAX: usize = 1 << 20;
/// Any other body, in bytes: a profile with every field filled has under 20 KB.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// A plugin with its component, in bytes: 32 MiB take a third more in Base64.
pub const INSTALL_BYTES_MAX: usize = 48 << 20;
/// A body that is too large is let in up to this many bytes, and for this long, so that whoever
/// sends it learns why it was refused.
pub const DISCARD_BYTES_MAX: usize = 32 << 20;
pub const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a body may take to arrive: a till on a bad line sends 8 MB in this time.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection may take to send the head of a request, or stay idle between two.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long one answer may take. Above every time that one event may have, below the patience of
/// proxies (60 s).
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(40);
/// How long requests that are under way get when the server stops.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(20);
/// Connections at once; each has a small buffer. More wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 2_048;
/// Connections that wait in the kernel's queue until we take them. The usual 128 drops a part of what
/// comes when forty tills and their web store come back at once, and each of those tries again only
/// after a second.
pub const CONNECTIONS_WAITING: u32 = 4_096;
/// Requests of one of several shops that are under way at once: all that may wait for a lane and for
/// a read, and few enough that one shop cannot have every connection.
pub const REQUESTS_OF_A_SHOP_MAX: usize = 768;
/// How long the figures of one of several shops may take; without them those of the others are told.
/// Prometheus gives up after ten seconds.
pub const FIGURES_TIME_MAX: Duration = Duration::from_secs(4);
/// Reads that may wait or run at once. What is more is told to come again, because a queue of
/// reads that nobody waits for any more helps nobody.
pub const READS_MAX: usize = 256;
/// Rows of one page when nobody says, and at most.
pub const PAGE_ROWS: u32 = 50;
pub const PAGE_ROWS_MAX: u32 = 500;
/// Purchases on a customer's card: what a person at the till takes in at a glance.
pub const CARD_PURCHASES: usize = 5;
/// Items named of each of them.
pub const CARD_ITEMS: usize = 20;
/// How long a till waits for the card in the answer to `customer.identified`, beside the commit
/// that it waits for anyway. A card that takes longer is left out, and the sale goes on.
pub const CARD_TIME_MAX: Duration = Duration::from_millis(250);
/// Events that are looked through for them, newest first.
pub const CARD_EVENTS: u32 = 100;
/// Events that are looked through for the locations of one customer: ten years of a sale a day.
pub const LOCATION_EVENTS: usize = 4_000;
/// Customers of one bulk assignment of a tag: at a thousand events a second it is answered well
/// within [`ANSWER_TIME_MAX`], and the journal keeps the whole list in one event.
pub const BULK_CUSTOMERS_MAX: usize = 5_000;
/// Its body, in bytes: as many e-mail addresses of 100 letters each.
pub const BULK_BYTES_MAX: usize = 1 << 20;
/// What names such a job, in bytes: customers' events are named after it.
pub const BULK_KEY_BYTES_MAX: usize = 128;
/// Streams at once; each costs a read for every few events, and a console needs one.
pub const STREAMS_MAX: usize = 64;
/// Frames that wait for a stream's reader. At 3 KB each, a stream holds about 100 KB; the rest waits
/// in the journal.
pub const STREAM_FRAMES: usize = 32;
/// Rows of the journal that a stream looks at in one read.
pub const STREAM_ROWS: i64 = 128;
/// How long a stream waits for more of what has just begun to come: a rush is read in parts, not
/// row by row, and nobody sees the difference.
pub const STREAM_PAUSE: Duration = Duration::from_millis(10);
/// How often a silent stream says that it is there. Proxies give up after 30 to 60 s.
pub const STREAM_HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a reader may take nothing before it is told to come again.
pub const STREAM_SLOW_MAX: Duration = Duration::from_secs(20);
/// When a reader whose stream ended may come again, in seconds.
pub const STREAM_RETRY_AFTER_S: u32 = 1;
/// A request id that a caller may choose, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// The time after which an overloaded server may be asked again, in seconds.
pub const RETRY_AFTER_S: u32 = 1;
/// The same after a full disk, which somebody must see to first.
pub const RETRY_AFTER_FULL_S: u32 = 30;
/// The same where a shop of several is not open: it is tried again every five seconds.
pub const RETRY_AFTER_NOT_OPEN_S: u32 = 10;
/// After a failure to take connections, such as too many open files.
pub const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);
