fn main() {
    let a: Vec<String> = std::env::args().collect();
    let c =
        stampcard_build::component(&a[1], "/tmp/t-sdk/plugins").unwrap_or_else(|e| panic!("{e}"));
    println!("{} bytes", c.len());
    std::fs::write(
        format!(
            "/tmp/{}.wasm",
            std::path::Path::new(&a[1])
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
        ),
        &c,
    )
    .unwrap();
    let d = wit_component::decode(&c).unwrap();
    let r = d.resolve();
    let w = &r.worlds[r
        .worlds
        .iter()
        .next()
        .map(|_| match d {
            wit_component::DecodedWasm::Component(_, w) => w,
            _ => panic!(),
        })
        .unwrap()];
    for (k, _) in &w.imports {
        println!("import {}", r.name_world_key(k));
    }
    for (k, _) in &w.exports {
        println!("export {}", r.name_world_key(k));
    }
}
