//! Who came and who went: segments as they move, for people who look at the whole shop.

use super::Reads;
use crate::row::{instant, some_instant};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;

/// The shortest span by which moves are summed up, in milliseconds: every time zone's days begin at
/// a whole quarter of an hour.
const QUARTER_MS: i64 = 15 * 60 * 1_000;

/// A segment as it stands and as it moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentMoves {
    pub segment: String,
    pub members: u64,
    pub entered: u64,
    pub left: u64,
    /// When somebody entered or left last.
    pub last_at: Option<Instant>,
}

/// Entries and exits of one segment in one quarter of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    pub segment: String,
    /// When the quarter began.
    pub at: Instant,
    pub entered: u64,
    pub left: u64,
}

impl Reads {
    /// Every segment that ever had a member, with the entries and exits since an instant. It looks at
    /// every membership there ever was, in an index.
    pub fn segment_moves(&self, since: Instant) -> Result<Vec<SegmentMoves>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT segment, sum(left_at IS NULL), sum(since >= ?1), sum(coalesce(left_at >= ?1, 0)),
                        max(max(since, coalesce(left_at, since)))
                 FROM memberships GROUP BY segment ORDER BY segment",
                &[&since.0],
                |row| {
                    Ok(SegmentMoves {
                        segment: row.get(0)?,
                        members: row.get::<_, i64>(1)? as u64,
                        entered: row.get::<_, i64>(2)? as u64,
                        left: row.get::<_, i64>(3)? as u64,
                        last_at: some_instant(row, 4)?,
                    })
                },
            )?)
        })
    }

    /// Entries and exits from an instant up to another one, of one segment or of all.
    pub fn movements(
        &self,
        from: Instant,
        to: Instant,
        segment: Option<&str>,
    ) -> Result<Vec<Movement>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT segment, at / ?4 * ?4 AS quarter, sum(entered), sum(gone) FROM (
                     SELECT segment, since AS at, 1 AS entered, 0 AS gone FROM memberships
                     WHERE since >= ?1 AND since < ?2 AND (?3 IS NULL OR segment = ?3)
                     UNION ALL
                     SELECT segment, left_at, 0, 1 FROM memberships
                     WHERE left_at >= ?1 AND left_at < ?2 AND (?3 IS NULL OR segment = ?3)
                 ) GROUP BY segment, quarter ORDER BY quarter, segment",
                &[&from.0, &to.0, &segment, &QUARTER_MS],
                |row| {
                    Ok(Movement {
                        segment: row.get(0)?,
                        at: instant(row, 1)?,
                        entered: row.get::<_, i64>(2)? as u64,
                        left: row.get::<_, i64>(3)? as u64,
                    })
                },
            )?)
        })
    }
}
