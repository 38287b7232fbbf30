//! What no shop takes: packs that are not as they were signed, or that nobody trusted has signed, or
//! that are made to do harm. Each is refused by name, and not a byte of the shop is another one.

use crate::{Agency, finish, guest, packs, trusting};
use sha2::{Digest, Sha256};
use stampcard_tests::Shop;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tar::{Archive, Builder, EntryType, Header};

/// The parts of a pack, as anybody could take them apart and put them together again.
#[derive(Clone)]
pub struct Parts(pub Vec<(String, Vec<u8>)>);

impl Parts {
    pub fn of(file: &Path) -> Parts {
        let bytes = fs::read(file).expect("a pack");
        let mut archive = Archive::new(&bytes[..]);
        let parts = archive.entries().expect("a tar").map(|entry| {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("its bytes");
            (path, bytes)
        });
        Parts(parts.collect())
    }

    fn without(mut self, path: &str) -> Parts {
        self.0.retain(|(name, _)| name != path);
        self
    }

    pub fn with(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Parts {
        let bytes = bytes.into();
        match self.0.iter_mut().find(|(name, _)| name == path) {
            Some(part) => part.1 = bytes,
            None => self.0.push((path.to_owned(), bytes)),
        }
        self
    }

    pub fn get(&self, path: &str) -> &[u8] {
        let part = self.0.iter().find(|(name, _)| name == path);
        &part.unwrap_or_else(|| panic!("{path} is in it")).1
    }

    /// With sums that are right again, as somebody would make them who knows how.
    fn summed(self) -> Parts {
        let mut parts: Vec<_> = self
            .0
            .iter()
            .filter(|(path, _)| !path.starts_with("SHA"))
            .collect();
        parts.sort();
        let sums = parts.iter().map(|(path, bytes)| {
            let sum: String = Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("{sum}  {path}\n")
        });
        let sums: String = sums.collect();
        self.with("SHA256SUMS", sums)
    }

    /// A file of them, whatever their names are.
    pub fn write(&self, to: &Path) {
        let mut tar = Builder::new(Vec::new());
        for (path, bytes) in &self.0 {
            let mut header = Header::new_ustar();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, &bytes[..]).expect("memory");
        }
        fs::write(to, tar.into_inner().expect("memory")).expect("a file");
    }
}

/// Every byte of a shop's folder.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(everything(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.insert(path, bytes);
        }
    }
    found
}

#[track_caller]
fn refused(agency: &Agency, shop: &Shop, file: &str, more: &[&str], told: &str) {
    let before = everything(&shop.dir);
    let ran = agency.install(shop, file, more);
    assert_eq!(ran.code, 2, "{told}: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    assert!(
        everything(&shop.dir) == before,
        "{told}: something was written"
    );
}

#[test]
fn a_pack_that_nobody_trusted_has_signed_is_refused_unless_the_operator_says_so_in_words() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    agency
        .run(&["pack", "build", "corner", "-o", "unsigned.pack"])
        .ok();
    refused(
        &agency,
        &shop,
        "unsigned.pack",
        &[],
        "corner 1.0.0: nobody has signed it",
    );
    agency
        .run(&["pack", "key", "other.key", "--no-password"])
        .ok();
    fs::copy(agency.path("unsigned.pack"), agency.path("other.pack")).expect("a copy");
    agency
        .run(&["pack", "sign", "other.pack", "--key", "other.key"])
        .ok();
    refused(
        &agency,
        &shop,
        "other.pack",
        &[],
        "not trusted here; those that are: Corner Agency",
    );
    let stranger = Shop::new();
    agency.signed("signed.pack");
    refused(
        &agency,
        &stranger,
        "signed.pack",
        &[],
        "no key is trusted here",
    );

    for (file, key, code) in [
        ("unsigned.pack", "agency.key.pub", 1),
        ("other.pack", "agency.key.pub", 1),
        ("other.pack", "other.key.pub", 0),
        ("signed.pack", "agency.key.pub", 0),
    ] {
        let verified = agency.run(&["pack", "verify", file, "--key", key]);
        assert_eq!(verified.code, code, "{file}: {}", verified.stderr);
    }
    let done = agency.install(&shop, "other.pack", &["--allow-unsigned"]);
    let done: serde_json::Value = serde_json::from_str(&done.ok()).expect("JSON");
    assert!(
        done["signer"].is_null(),
        "it is not told to be signed: {done}"
    );
    assert!(packs(&shop)[0]["signer"].is_null());
    // A key that cannot be one is told with its file, and takes no pack.
    shop.append("stampcard.toml", "\"Nobody\" = \"RWQ\"\n");
    let broken = agency.install(&shop, "signed.pack", &[]);
    assert!(
        broken
            .stderr
            .contains("stampcard.toml: trusted_keys: Nobody"),
        "{}",
        broken.stderr
    );
}

#[test]
fn a_pack_that_is_not_as_it_was_signed_is_refused_and_nothing_is_written() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    let file = agency.signed("corner.pack");
    let whole = Parts::of(&file);
    let component = [whole.get("plugins/extra.wasm"), b"\0\x03\x02hi"].concat();
    let renamed = String::from_utf8_lossy(whole.get("pack.toml")).replace("1.0.0", "9.0.0");
    let signature = String::from_utf8_lossy(whole.get("SHA256SUMS.minisig")).into_owned();
    let half: String = signature
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    let other_comment = signature.replace("corner 1.0.0", "corner 7.0.0");
    let tampered = [
        (
            whole.clone().with("plugins/extra.wasm", component.clone()),
            "plugins/extra.wasm is not what was packed",
        ),
        (
            whole.clone().with("plugins/extra.wasm", component).summed(),
            "somebody has changed it",
        ),
        (
            whole.clone().with("pack.toml", renamed).summed(),
            "corner 9.0.0: the signature",
        ),
        (
            whole.clone().with("cases/extra/more.json", "{}"),
            "cases/extra/more.json is not in the list of sums",
        ),
        (
            whole.clone().without("cases/per-dollar/dollars.json"),
            "cases/per-dollar/dollars.json is in the list of sums and not in the pack",
        ),
        (whole.clone().without("SHA256SUMS"), "SHA256SUMS is missing"),
        (
            whole.clone().without("SHA256SUMS.minisig"),
            "nobody has signed it",
        ),
        (
            whole.clone().with("SHA256SUMS.minisig", half),
            "none of minisign's",
        ),
        (
            whole.clone().with("SHA256SUMS.minisig", other_comment),
            "somebody has changed it",
        ),
    ];
    for (parts, told) in tampered {
        parts.write(&agency.path("tampered.pack"));
        refused(&agency, &shop, "tampered.pack", &[], told);
        let verify = ["pack", "verify", "tampered.pack", "--key", "agency.key.pub"];
        let verified = agency.run(&verify);
        assert_eq!(verified.code, 1);
        assert!(verified.stderr.contains(told), "{}", verified.stderr);
    }
    let cut_off = fs::read(&file).expect("a pack");
    agency.write("tampered.pack", &cut_off[..cut_off.len() / 2]);
    refused(&agency, &shop, "tampered.pack", &[], "this is no pack");
}

#[test]
fn a_pack_that_is_made_to_do_harm_is_refused_by_name_even_where_nobody_needs_to_have_signed_it() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    let whole = Parts::of(&agency.signed("corner.pack"));
    let manifest = String::from_utf8_lossy(whole.get("plugins/extra.toml")).into_owned();
    let about = String::from_utf8_lossy(whole.get("pack.toml")).into_owned();
    let later = replaced(&guest("brittle"), b"@0.1.0", b"@0.9.0");
    let harmful = [
        (
            whole.clone().with("../../evil.toml", "x"),
            "`../../evil.toml` may not be in a pack",
        ),
        (
            whole.clone().with("/etc/cron.d/evil", "x"),
            "`/etc/cron.d/evil` may not be in a pack",
        ),
        (
            whole.clone().with("plugins/run.sh", "x"),
            "`plugins/run.sh` may not be in a pack",
        ),
        (
            whole.clone().with("plugins/starter-points.toml", "x"),
            "plugins/starter-points.toml belongs to none of the plugins",
        ),
        (
            whole
                .clone()
                .with("plugins/extra.schema.json", "{\"type\": 7}"),
            "the JSON Schema of extra is not one",
        ),
        (
            whole.clone().with("plugins/extra.schema.json", "points"),
            "the JSON Schema of extra is not one",
        ),
        (
            whole.clone().with("plugins/extra.wasm", later),
            "stampcard:plugin/log@0.9.0 (this host speaks version 0.1 of the contract)",
        ),
        (
            whole.clone().with("plugins/extra.wasm", "no component"),
            "extra.wasm: this is not WebAssembly",
        ),
        (
            whole.clone().with(
                "plugins/extra.toml",
                format!("grant = [\"name\"]\n{manifest}"),
            ),
            "plugins/extra.toml says `grant`, which is for the shop to say",
        ),
        (
            whole.clone().with(
                "plugins/extra.toml",
                manifest.replace("point-formula", "tier-rule"),
            ),
            "extra.toml claims the roles tier-rule",
        ),
        (
            whole.clone().with(
                "plugins/extra.toml",
                manifest.replace("points = 2", "points = 99"),
            ),
            "extra.toml: config.points: 99",
        ),
        (
            whole.clone().with(
                "pack.toml",
                about.replace("[requires]", "[requires]\nledger = 9999"),
            ),
            "needs a ledger of format 9999",
        ),
        (
            whole.clone().with(
                "pack.toml",
                about.replace("[requires]", "[requires]\nstampcard = \">=99\""),
            ),
            "needs stampcard >=99",
        ),
        (
            whole.clone().with(
                "pack.toml",
                about.replace("contract = \"0.1\"", "contract = \"0.2\""),
            ),
            "speaks version 0.1 of the plugin contract, and pack.toml says that the pack needs 0.2",
        ),
        (
            whole
                .clone()
                .with("pack.toml", about.replace("\"extra\"", "\"../extra\"")),
            "plugins/../extra.toml is missing",
        ),
    ];
    for (parts, told) in harmful {
        parts.summed().write(&agency.path("harmful.pack"));
        refused(&agency, &shop, "harmful.pack", &["--allow-unsigned"], told);
    }

    // Larger than it looks: a header that claims 8 GiB, and a sparse file.
    for (kind, claimed, told) in [
        (
            EntryType::Regular,
            8 << 30,
            "plugins/extra.wasm has 8589934592 bytes",
        ),
        (
            EntryType::GNUSparse,
            512,
            "a sparse file, which is larger than it looks",
        ),
        (EntryType::Symlink, 0, "`plugins/extra.wasm` is a link"),
    ] {
        let mut header = Header::new_ustar();
        header.set_path("plugins/extra.wasm").expect("a path");
        header.set_entry_type(kind);
        header.set_size(claimed);
        header.set_cksum();
        agency.write("bomb.pack", [&header.as_bytes()[..], &[0; 2_048]].concat());
        refused(&agency, &shop, "bomb.pack", &["--allow-unsigned"], told);
    }
    let huge = fs::File::create(agency.path("huge.pack")).expect("a file");
    huge.set_len(1 << 40).expect("a sparse file");
    refused(
        &agency,
        &shop,
        "huge.pack",
        &["--allow-unsigned"],
        "more than the 134217728",
    );
    assert_eq!(packs(&shop), serde_json::json!([]));
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at + from.len() <= bytes.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        at += 1;
    }
    bytes
}

#[test]
fn what_would_be_refused_by_shops_is_not_packed() {
    let agency = Agency::new();
    let build = |told: &str| {
        let ran = agency.run(&["pack", "build", "corner", "-o", "corner.pack"]);
        assert_eq!(ran.code, 2, "{told}");
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
        assert!(!agency.path("corner.pack").exists(), "{told}");
    };
    agency.extra("1.0.0", "points = 20");
    build("extra.toml: config.points: 20");
    agency.extra("1.0.0", "points = 2\n[grant]");
    build("`grant`");
    agency.extra("1.0.0", "points = 2");
    agency.write("extra/extra.schema.json", "{\"type\": 7}");
    build("the JSON Schema of extra is not one");
    fs::remove_file(agency.path("extra/extra.schema.json")).expect("it is gone");
    build("extra.schema.json");
    fs::remove_file(agency.path("extra/extra.wasm")).expect("it is gone");
    build("extra has no rule");
    agency.about("\"../extra\"", "\"../nowhere\"");
    build("nowhere");
}

/// Debian's `minisign` on what we have signed, and the other way round.
#[test]
#[ignore = "cargo xtask soak"]
fn the_tool_of_that_name_verifies_our_signatures_and_we_verify_its() {
    let agency = Agency::new();
    agency.signed("corner.pack");
    let tool = |arguments: &[&str]| {
        let mut command = std::process::Command::new("minisign");
        finish(command.args(arguments).current_dir(agency.path("")))
    };
    let parts = Parts::of(&agency.path("corner.pack"));
    agency.write("SHA256SUMS", parts.get("SHA256SUMS"));
    agency.write("SHA256SUMS.minisig", parts.get("SHA256SUMS.minisig"));
    let verified = tool(&["-Vm", "SHA256SUMS", "-p", "agency.key.pub"]).ok();
    assert!(
        verified.contains("Trusted comment: stampcard pack corner 1.0.0"),
        "{verified}"
    );
    agency.write("SHA256SUMS", "something else\n");
    assert_ne!(tool(&["-Vm", "SHA256SUMS", "-p", "agency.key.pub"]).code, 0);

    // A key that it made signs here, and what it has signed is signed here.
    tool(&["-GW", "-p", "its.pub", "-s", "its.key"]).ok();
    agency
        .run(&["pack", "sign", "corner.pack", "--key", "its.key"])
        .ok();
    agency
        .run(&["pack", "verify", "corner.pack", "--key", "its.pub"])
        .ok();
    agency.write("SHA256SUMS", parts.get("SHA256SUMS"));
    tool(&["-Sm", "SHA256SUMS", "-s", "its.key", "-t", "by the tool"]).ok();
    let signature = fs::read(agency.path("SHA256SUMS.minisig")).expect("a signature");
    parts
        .with("SHA256SUMS.minisig", signature)
        .write(&agency.path("its.pack"));
    agency
        .run(&["pack", "verify", "its.pack", "--key", "its.pub"])
        .ok();
    assert_eq!(
        agency
            .run(&["pack", "verify", "its.pack", "--key", "agency.key.pub"])
            .code,
        1
    );
    // Our key with a password is one for it, too: it asks, and nobody is there to answer.
    let mut key = stampcard_tests::binary::command(["pack", "key", "locked.key"]);
    key.env("STAMPCARD_KEY_PASSWORD", "open sesame")
        .current_dir(agency.path(""));
    finish(&mut key).ok();
    assert_eq!(
        agency
            .run(&["pack", "sign", "corner.pack", "--key", "locked.key"])
            .code,
        2
    );
    let mut sign =
        stampcard_tests::binary::command(["pack", "sign", "corner.pack", "--key", "locked.key"]);
    sign.env("STAMPCARD_KEY_PASSWORD", "open sesame")
        .current_dir(agency.path(""));
    finish(&mut sign).ok();
    agency
        .run(&["pack", "verify", "corner.pack", "--key", "locked.key.pub"])
        .ok();
}
