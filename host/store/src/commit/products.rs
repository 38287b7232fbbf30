//! The products of which an event tells, each kept if the event is the newest about it.

use super::Writing;
use crate::error::Trouble;
use stampcard_pipeline::products::told_in;

impl Writing<'_> {
    pub(super) fn products(&self) -> Result<(), Trouble> {
        let event = &self.change.event;
        for told in told_in(event) {
            let variant = told.variant.unwrap_or_default();
            let (collections, flags) = (
                serde_json::to_string(&told.collections)?,
                serde_json::to_string(&told.flags)?,
            );
            self.writer.sql.run(
                "INSERT INTO products (product, variant, sku, name, price, collections, flags, at, source, id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (product, variant) DO UPDATE SET
                     sku = ?3, name = ?4, price = ?5, collections = ?6, flags = ?7, at = ?8, source = ?9, id = ?10
                 WHERE (?8, ?9, ?10) > (at, source, id)",
                &[
                    &told.product,
                    &variant,
                    &told.sku,
                    &told.name,
                    &told.price,
                    &collections,
                    &flags,
                    &event.at.0,
                    &event.source,
                    &event.id,
                ],
            )?;
        }
        Ok(())
    }
}
