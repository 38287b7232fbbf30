//! Products of the shop's catalogue, as they come in.

use super::data::Common;
use super::malformed;
use crate::event::{Body, Money};
use crate::limits;
use crate::products::{Product, Told};
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use serde::Deserialize;
use std::collections::HashSet;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CatalogueEvent {
    currency: String,
    products: Vec<ProductData>,
    staff: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductData {
    product: String,
    variant: Option<String>,
    sku: Option<String>,
    name: Option<String>,
    price: Money,
    #[serde(default)]
    collections: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
}

impl CatalogueEvent {
    pub fn check(self, common: &mut Common, shop: &Shop) -> Result<Body, Refusal> {
        common.staff = self.staff;
        let known = &shop.file.currency;
        if self.currency != *known {
            return invalid(
                "foreign-currency",
                "/data/currency",
                format!(
                    "prices are in {:?}, and this shop's catalogue is in {known}",
                    self.currency
                ),
            );
        }
        match self.products.len() {
            0 => return malformed("/data/products", "it tells of no product"),
            length if length > limits::PRODUCTS_MAX => {
                return invalid(
                    "too-many",
                    "/data/products",
                    format!(
                        "{length} products, and {} is the limit of one event; send the rest in more of them",
                        limits::PRODUCTS_MAX
                    ),
                );
            }
            _ => {}
        }
        let given = self.products.into_iter().enumerate();
        let products = given
            .map(|(index, product)| product.check(index))
            .collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        let twice = products
            .iter()
            .position(|it| !seen.insert((&it.product, &it.variant)));
        if let Some(index) = twice {
            return invalid(
                "product-twice",
                format!("/data/products/{index}"),
                format!(
                    "{:?} is there before in the same event; which of the two is it?",
                    products[index]
                        .variant
                        .as_ref()
                        .unwrap_or(&products[index].product)
                ),
            );
        }
        let text = serde_json::to_string(&Told { products }).expect("plain data");
        Ok(Body::Other(text))
    }
}

impl ProductData {
    fn check(self, index: usize) -> Result<Product, Refusal> {
        let at = |field: &str| format!("/data/products/{index}/{field}");
        let texts = [
            ("product", Some(&self.product)),
            ("variant", self.variant.as_ref()),
            ("sku", self.sku.as_ref()),
            ("name", self.name.as_ref()),
        ];
        for (field, text) in texts {
            let length = text.map(String::len);
            if length == Some(0) {
                return malformed(&at(field), format!("{field} is empty"));
            }
            if length.is_some_and(|length| length > limits::TEXT_BYTES_MAX) {
                return malformed(
                    &at(field),
                    format!("longer than {} bytes", limits::TEXT_BYTES_MAX),
                );
            }
        }
        for (field, words) in [("collections", &self.collections), ("flags", &self.flags)] {
            let is_long = |word: &String| word.len() > limits::TEXT_BYTES_MAX;
            if words.len() > limits::LIST_MAX || words.iter().any(is_long) {
                return malformed(
                    &at(field),
                    format!(
                        "more than {} {field}, or one longer than {} bytes",
                        limits::LIST_MAX,
                        limits::TEXT_BYTES_MAX
                    ),
                );
            }
        }
        if self.price < 0 {
            return invalid("price", at("price"), "a price is at least 0");
        }
        Ok(Product {
            product: self.product,
            variant: self.variant,
            sku: self.sku,
            name: self.name,
            price: self.price,
            collections: self.collections,
            flags: self.flags,
        })
    }
}
