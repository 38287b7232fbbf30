//! The stock of which an event tells, each row kept if the event is the newest about it.

use super::Writing;
use crate::error::Trouble;
use stampcard_pipeline::stock::told_in;

impl Writing<'_> {
    pub(super) fn stock(&self) -> Result<(), Trouble> {
        let event = &self.change.event;
        for told in told_in(event) {
            let (location, channel) = told.place.names();
            self.writer.sql.run(
                "INSERT INTO stock (sku, location, channel, quantity, at, source, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (sku, location, channel) DO UPDATE SET quantity = ?4, at = ?5, source = ?6, id = ?7
                 WHERE (?5, ?6, ?7) > (at, source, id)",
                &[
                    &told.sku,
                    &location,
                    &channel,
                    &told.quantity,
                    &event.at.0,
                    &event.source,
                    &event.id,
                ],
            )?;
        }
        Ok(())
    }
}
