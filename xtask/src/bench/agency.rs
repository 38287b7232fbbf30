//! What it takes to serve an agency's packs to all of its shops: twenty components, each shop with a
//! configuration of its own for every one of them, in one server.

use super::Figure;
use stampcard_tests::binary::{root, target};
use stampcard_tests::shops::Shops;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Instant;

const COMPONENTS: usize = 20;

pub fn measure(quick: bool) -> Vec<Figure> {
    let count = if quick { 5 } else { 50 };
    let names: Vec<String> = (0..count)
        .map(|number| format!("shop-{number:02}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shops = Shops::new(&names);
    let own = shops.serve();
    let bare = own.memory();
    own.stop();

    let source = root().join("plugins/starter-points");
    let formula =
        stampcard_build::component(&source, target().join("plugins")).expect("the formula builds");
    let schema = fs::read_to_string(source.join("config.schema.json")).expect("a schema");
    for (number, name) in names.iter().enumerate() {
        for component in 0..COMPONENTS {
            let plugin = format!("rule-{component:02}");
            let shop = &shops[name];
            shop.write(
                &format!("plugins/{plugin}.wasm"),
                marked(&formula, component),
            );
            shop.write(&format!("plugins/{plugin}.schema.json"), &schema);
            shop.write(
                &format!("plugins/{plugin}.toml"),
                format!(
                    "name = \"{plugin}\"\nversion = \"1.0.0\"\nroles = [\"point-formula\"]\n\
                     events = [\"sale.completed\"]\nconfiguration = \"{plugin}.schema.json\"\n\n\
                     [config]\npoints = {}\nbase = \"total\"\n",
                    number + 1
                ),
            );
        }
    }
    let cache = target().join("agency-cache");
    // What an earlier run compiled would not be compiled again.
    fs::remove_dir_all(&cache).ok();
    let environment = [("XDG_CACHE_HOME", cache.as_os_str())];
    let first = start(&shops, &environment);
    let again = start(&shops, &environment);
    let plugins = count * COMPONENTS;
    let what = format!("{COMPONENTS} components in {count} shops");
    vec![
        Figure::new(
            format!("{what}: compiled files"),
            compiled(&cache) as f64,
            "files",
            "one for each component",
        ),
        Figure::new(format!("{what}: first start"), first.0, "s", ""),
        Figure::new(format!("{what}: start"), again.0, "s", ""),
        Figure::new(format!("{what}: memory"), again.1, "MiB", ""),
        Figure::new(
            format!("{what}: memory for each plugin"),
            (again.1 - mebibytes(bare)) * 1_024.0 / plugins as f64,
            "KiB",
            "",
        ),
    ]
}

/// With a section that nobody reads, so that it is another component with code of its own.
fn marked(component: &[u8], mark: usize) -> Vec<u8> {
    let text = format!("mark-{mark:04}");
    let mut bytes = component.to_vec();
    // A custom section: 0, its length, and a name with its length.
    bytes.extend([0, text.len() as u8 + 1, text.len() as u8]);
    bytes.extend(text.as_bytes());
    bytes
}

/// Seconds until every shop is open, and what the server takes then in MiB.
fn start(shops: &Shops, environment: &[(&str, &OsStr)]) -> (f64, f64) {
    let began = Instant::now();
    let server = shops.serve_in(environment);
    let took = began.elapsed().as_secs_f64();
    let memory = mebibytes(server.memory());
    server.stop();
    (took, memory)
}

fn mebibytes(bytes: Option<u64>) -> f64 {
    bytes.unwrap_or(0) as f64 / f64::from(1 << 20)
}

/// The files of all folders in there.
fn compiled(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder");
    let count = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        if path.is_dir() { compiled(&path) } else { 1 }
    };
    entries.map(count).sum()
}
