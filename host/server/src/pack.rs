//! The starter pack, carried in the binary: components, manifests, schemas, and the configuration
//! that `init` writes.

use stampcard_runtime::PackPlugin;

/// One plugin of the starter pack.
pub struct Starter {
    pub plugin: PackPlugin<'static>,
    /// The configuration that an ordinary shop starts with, as TOML with comments.
    default: &'static str,
    /// Whether `init` gives it to a new shop.
    pub is_of_every_shop: bool,
}

/// The whole pack, in the order in which a shop lists it.
pub static STARTERS: [Starter; 5] = include!(concat!(env!("OUT_DIR"), "/pack.rs"));

/// What the loader is given.
pub fn packs() -> [PackPlugin<'static>; 5] {
    std::array::from_fn(|index| STARTERS[index].plugin)
}

impl Starter {
    /// The `NAME.toml` of a new shop.
    pub fn file(&self) -> String {
        let name = self.plugin.name;
        let mut file = format!("pack = \"{name}\"\n\n[config]\n");
        for line in self.default.lines() {
            file.push_str(&below_config(line));
            file.push('\n');
        }
        file
    }
}

/// A line of a configuration, one level deeper: `[exclude]` is `[config.exclude]` in `NAME.toml`.
fn below_config(line: &str) -> String {
    if let Some(rest) = line.strip_prefix("[[") {
        format!("[[config.{rest}")
    } else if let Some(rest) = line.strip_prefix('[') {
        format!("[config.{rest}")
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_shops_files_hold_the_default_configuration_under_config() {
        for starter in &STARTERS {
            let file: toml::Table = starter.file().parse().unwrap();
            let default: toml::Table = starter.default.parse().unwrap();
            assert_eq!(
                file["config"],
                toml::Value::Table(default),
                "{}",
                starter.plugin.name
            );
            assert_eq!(file["pack"].as_str(), Some(starter.plugin.name));
            assert_eq!(file.len(), 2, "{}", starter.plugin.name);
        }
    }
}
