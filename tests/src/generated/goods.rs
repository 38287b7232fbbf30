//! What Juniper & Oak sells, and baskets of it.

use super::dice::Dice;
use serde_json::{Value, json};

/// A thing on the shelf.
struct Product {
    sku: &'static str,
    name: &'static str,
    category: &'static str,
    collection: &'static str,
    /// Cents.
    price: i64,
}

macro_rules! products {
    ($($sku:literal, $name:literal, $category:literal, $collection:literal, $price:literal;)*) => {
        const PRODUCTS: &[Product] = &[$(Product {
            sku: $sku, name: $name, category: $category, collection: $collection, price: $price,
        }),*];
    };
}

products! {
    "TEE-OAT-M", "Cotton tee, oat, M", "tops", "basics", 2800;
    "TEE-INK-L", "Cotton tee, ink, L", "tops", "basics", 2800;
    "TEE-WHITE-S", "Cotton tee, white, S", "tops", "basics", 2800;
    "SHIRT-LINEN-L", "Linen shirt, sand, L", "tops", "summer", 7900;
    "SHIRT-OXFORD-M", "Oxford shirt, blue, M", "tops", "basics", 6800;
    "KNIT-MERINO-M", "Merino crew, moss, M", "knitwear", "winter", 11800;
    "CARDIGAN-RUST-S", "Cardigan, rust, S", "knitwear", "winter", 13400;
    "CHINO-NAVY-32", "Chinos, navy, 32", "trousers", "basics", 8400;
    "JEANS-RAW-31", "Raw denim, 31", "trousers", "basics", 12800;
    "SKIRT-PLEAT-S", "Pleated skirt, olive, S", "skirts", "summer", 9200;
    "DRESS-SAGE-S", "Wrap dress, sage, S", "dresses", "summer", 14800;
    "COAT-CAMEL-M", "Wool coat, camel, M", "outerwear", "winter", 45000;
    "PARKA-GREEN-L", "Waxed parka, green, L", "outerwear", "winter", 26800;
    "SCARF-CHARCOAL", "Cashmere scarf, charcoal", "accessories", "winter", 9500;
    "GLOVES-TAN", "Leather gloves, tan", "accessories", "winter", 5500;
    "BEANIE-GREY", "Lambswool beanie, grey", "accessories", "winter", 3600;
    "BELT-BROWN", "Leather belt, brown", "accessories", "basics", 5200;
    "SOCKS-3", "Cotton socks, three pairs", "accessories", "basics", 1900;
    "TOTE-CANVAS", "Canvas tote", "accessories", "basics", 2400;
    "MUG-STONE", "Stoneware mug", "kitchen", "home", 2200;
    "BOWL-OAK", "Oak salad bowl", "kitchen", "home", 6400;
    "TOWEL-TEA", "Linen tea towel", "kitchen", "home", 1600;
    "BOARD-OLIVE", "Olive wood board", "kitchen", "home", 4800;
    "CANDLE-FIG", "Candle, fig", "scents", "home", 3400;
    "CANDLE-CEDAR", "Candle, cedar", "scents", "home", 3400;
    "SOAP-BAR", "Olive oil soap", "scents", "home", 900;
    "THROW-WOOL", "Wool throw, cream", "textiles", "home", 12600;
    "CUSHION-LINEN", "Linen cushion, clay", "textiles", "home", 5400;
    "VASE-TALL", "Tall vase, white", "decoration", "home", 7200;
    "PLANT-FERN", "Fern in a clay pot", "decoration", "home", 3800;
    "NOTEBOOK-A5", "Notebook, A5", "paper", "home", 1400;
    "CARD-SET", "Letterpress cards, six", "paper", "home", 1800;
}

/// Sales tax of New York City, in hundred-thousandths.
const TAX: i64 = 8_875;
/// Orders from here on are sent for nothing, in cents.
const FREE_SHIPPING: i64 = 7_500;
const SHIPPING: i64 = 595;

/// Products and how many pieces of each.
pub struct Basket {
    goods: Vec<(&'static Product, i64)>,
    /// Whether codes and gift cards come with it as they do; what was put together by name is
    /// paid in full, by card.
    by_chance: bool,
}

/// One piece of each.
pub fn of(skus: &[&str]) -> Basket {
    let find = |sku: &&str| {
        PRODUCTS
            .iter()
            .find(|product| product.sku == *sku)
            .expect("it is on the shelf")
    };
    Basket {
        goods: skus.iter().map(|sku| (find(sku), 1)).collect(),
        by_chance: false,
    }
}

/// What somebody carries to the till: mostly one thing, sometimes many.
pub fn basket_of(dice: &mut Dice) -> Basket {
    let kinds = 1 + dice.below(4).min(dice.below(4));
    let mut basket: Vec<(&Product, i64)> = Vec::new();
    for _ in 0..kinds {
        let product = match dice.pick(PRODUCTS) {
            coat if coat.price > 20_000 && !dice.one_in(8) => dice.pick(PRODUCTS),
            product => product,
        };
        match basket
            .iter_mut()
            .find(|(other, _)| other.sku == product.sku)
        {
            Some((_, pieces)) => *pieces += 1,
            None => basket.push((
                product,
                if product.price < 3_000 && dice.one_in(3) {
                    2
                } else {
                    1
                },
            )),
        }
    }
    Basket {
        goods: basket,
        by_chance: true,
    }
}

impl Basket {
    fn goods(&self) -> i64 {
        self.goods
            .iter()
            .map(|(product, pieces)| product.price * pieces)
            .sum()
    }

    fn lines(&self) -> Vec<Value> {
        let line = |(product, pieces): &(&Product, i64)| {
            json!({
                "sku": product.sku, "variant": product.sku, "name": product.name, "category": product.category,
                "collections": [product.collection], "quantity": pieces, "unit_price": product.price,
                "amount": product.price * pieces,
            })
        };
        self.goods.iter().map(line).collect()
    }

    /// The data of a sale: one basket in twelve has a code, and everybody pays tax.
    pub fn sale(
        &self,
        channel: &str,
        store: Option<&str>,
        device: &str,
        customer: Value,
        dice: &mut Dice,
    ) -> Value {
        let goods = self.goods();
        let discount = if self.by_chance && dice.one_in(12) {
            goods / 10
        } else {
            0
        };
        let shipping = if channel == "online" && goods < FREE_SHIPPING {
            SHIPPING
        } else {
            0
        };
        let tax = ((goods - discount) * TAX + 50_000) / 100_000;
        let total = goods - discount + shipping + tax;
        let mut sale = json!({
            "channel": channel, "device": device, "currency": "USD", "lines": self.lines(), "tax": tax, "total": total,
        });
        if let Some(store) = store {
            sale["location"] = store.into();
            sale["staff"] = format!("staff-{}", 1 + dice.below(9)).into();
        }
        if !customer.is_null() {
            sale["customer"] = customer;
        }
        if discount > 0 {
            sale["discounts"] = json!([{"code": "TEN", "amount": discount}]);
        }
        if shipping > 0 {
            sale["shipping"] = shipping.into();
        }
        let gift_card = if self.by_chance && dice.one_in(25) {
            total / 3
        } else {
            0
        };
        let kind = if channel == "pos" && dice.one_in(5) {
            "cash"
        } else {
            "card"
        };
        sale["tenders"] = match gift_card {
            0 => json!([{"kind": kind, "amount": total}]),
            _ => {
                json!([{"kind": "gift-card", "amount": gift_card}, {"kind": kind, "amount": total - gift_card}])
            }
        };
        sale
    }

    /// The data of a basket that is not paid yet. Tax and codes come with the sale.
    pub fn checkout(&self, channel: &str, store: Option<&str>, customer: Value) -> Value {
        let mut open = json!({
            "channel": channel, "currency": "USD", "lines": self.lines(), "total": self.goods(), "customer": customer,
        });
        if let Some(store) = store {
            open["location"] = store.into();
        }
        open
    }
}
