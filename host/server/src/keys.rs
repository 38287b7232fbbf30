//! New API keys. A key is printed once; the store has only its hash. What a key may do, and how it
//! is looked up, is in `http/auth.rs`.

use crate::http::auth::Role;

/// Makes a key of 160 random bits, such as `sk_pos_7k3v…`: its role can be read, so that nobody
/// gives a till the operator's by mistake.
pub fn make(role: Role) -> Result<String, getrandom::Error> {
    // Without letters that are taken for digits, since keys are typed into tills.
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random: [u8; 32] = random()?;
    let letters: String = random
        .iter()
        .map(|byte| ALPHABET[usize::from(byte % 32)] as char)
        .collect();
    Ok(format!("sk_{}_{letters}", role.name()))
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_role_and_nothing_else() {
        let (one, other) = (make(Role::Pos).unwrap(), make(Role::Pos).unwrap());
        assert!(one.starts_with("sk_pos_"), "{one}");
        assert_eq!(one.len(), "sk_pos_".len() + 32);
        assert_ne!(one, other);
    }
}
