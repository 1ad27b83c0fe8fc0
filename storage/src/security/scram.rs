//! The server's side of SCRAM (RFC 5802), without channel binding.
//!
//! ```text
//! C: n,,n=user,r=CLIENTNONCE
//! S: r=CLIENTNONCE SERVERNONCE,s=SALT,i=ITERATIONS
//! C: c=biws,r=CLIENTNONCE SERVERNONCE,p=PROOF
//! S: v=SIGNATURE
//! ```
//!
//! The proof is `ClientKey XOR HMAC(StoredKey, AuthMessage)`; the server takes the client key out of it and compares its
//! hash with the stored one. Names and passwords are compared as the bytes that were sent, as Apache Kafka does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::exchange::LoginError;
use super::verifier::Verifier;

/// Random bytes of the server's part of the nonce.
const NONCE_BYTES: usize = 24;

/// The client's first message, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst {
    pub(super) user: String,
    nonce: String,
    /// The header that says how the channel is bound (it isn't), which comes back in the final message.
    header: String,
    bare: String,
}

/// What the server remembers while the client computes its proof.
#[derive(Debug)]
pub(super) struct Challenge {
    verifier: Verifier,
    header: String,
    nonce: String,
    /// `client-first-message-bare "," server-first-message ","`
    exchanged: String,
}

impl ClientFirst {
    /// Takes the first message apart.
    ///
    /// # Errors
    /// [`LoginError::Malformed`] and [`LoginError::Identity`].
    pub(super) fn parse(message: &[u8]) -> Result<Self, LoginError> {
        let malformed = LoginError::Malformed;
        let text = std::str::from_utf8(message).map_err(|_| malformed("the first SCRAM message is not UTF-8"))?;
        let mut parts = text.splitn(3, ',');
        let (Some(binding), Some(identity), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("the first SCRAM message has no header"));
        };
        // `y` says that the client could bind the channel and believes that the server can't, which is so.
        if !matches!(binding, "n" | "y") {
            return Err(malformed("channel binding is not offered"));
        }
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|part| part.strip_prefix("n="));
        let user = unescape(user.ok_or(malformed("the first SCRAM message names no user"))?)?;
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()));
        let nonce = nonce.ok_or(malformed("the first SCRAM message has no nonce"))?.to_owned();
        match identity.strip_prefix("a=").map(unescape).transpose()? {
            Some(identity) if identity != user => return Err(LoginError::Identity),
            None if !identity.is_empty() => return Err(malformed("the header of the SCRAM message is damaged")),
            _ => {}
        }
        // What follows are extensions, which a server ignores (`tokenauth=true` of Kafka's delegation tokens is none
        // that it may ignore).
        if attributes.any(|extension| extension.starts_with("tokenauth=")) {
            return Err(malformed("delegation tokens are not offered"));
        }
        Ok(Self { user, nonce, header: format!("{binding},{identity},"), bare: bare.to_owned() })
    }

    /// The server's first message, and what it needs to judge the answer.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(super) fn challenge(self, verifier: Verifier) -> std::io::Result<(Vec<u8>, Challenge)> {
        let mut random = [0; NONCE_BYTES];
        getrandom::getrandom(&mut random)?;
        Ok(self.challenge_with(verifier, &STANDARD.encode(random)))
    }

    fn challenge_with(self, verifier: Verifier, server_nonce: &str) -> (Vec<u8>, Challenge) {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let first = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let exchanged = format!("{},{first},", self.bare);
        (first.into_bytes(), Challenge { verifier, header: self.header, nonce, exchanged })
    }
}

impl Challenge {
    /// Judges the client's final message and gives the server's.
    ///
    /// # Errors
    /// [`LoginError::Malformed`], [`LoginError::Credentials`] for a wrong proof.
    pub(super) fn finish(self, message: &[u8]) -> Result<Vec<u8>, LoginError> {
        let malformed = LoginError::Malformed;
        let text = std::str::from_utf8(message).map_err(|_| malformed("the final SCRAM message is not UTF-8"))?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(malformed("the final SCRAM message has no proof"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|part| part.strip_prefix("c="));
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        if binding.and_then(|binding| STANDARD.decode(binding).ok()).as_deref() != Some(self.header.as_bytes()) {
            return Err(malformed("the header in the final SCRAM message is another one"));
        }
        // RFC 5802 wants it repeated as it is. librdkafka before 2.1 put the client's part before it once more; like Kafka,
        // this is taken, since it contains what was asked for.
        if !nonce.is_some_and(|nonce| nonce.ends_with(&self.nonce)) {
            return Err(malformed("the nonce in the final SCRAM message is another one"));
        }
        let hash = self.verifier.hash;
        let proof = STANDARD.decode(proof).map_err(|_| malformed("the SCRAM proof is not base64"))?;
        if proof.len() != hash.length() {
            return Err(malformed("the SCRAM proof has another length than its hash"));
        }
        let signed = format!("{}{without_proof}", self.exchanged);
        let signature = hash.hmac(&self.verifier.stored_key, signed.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(proof, signature)| proof ^ signature).collect();
        if !bool::from(hash.digest(&client_key).ct_eq(&self.verifier.stored_key)) {
            return Err(LoginError::Credentials);
        }
        let signature = hash.hmac(&self.verifier.server_key, signed.as_bytes());
        Ok(format!("v={}", STANDARD.encode(signature)).into_bytes())
    }
}

/// A `saslname`: `=2C` is a comma and `=3D` an equals sign, and neither stands in it otherwise.
fn unescape(name: &str) -> Result<String, LoginError> {
    let mut parts = name.split('=');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(LoginError::Malformed("an equals sign in the SCRAM user is not escaped")),
        };
        text.push(character);
        text.push_str(rest);
    }
    if text.is_empty() { Err(LoginError::Malformed("the SCRAM user is empty")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::super::verifier::Hash;
    use super::*;

    fn verifier(hash: Hash, salt: &str) -> Verifier {
        Verifier::with(hash, "pencil", STANDARD.decode(salt).unwrap(), 4096)
    }

    /// RFC 7677, section 3.
    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn challenge() -> Challenge {
        let first = ClientFirst::parse(FIRST).unwrap();
        assert_eq!(first.user, "user");
        let (sent, challenge) = first.challenge_with(verifier(Hash::Sha256, "W22ZaJ0SNY7soEsUEjb6gQ=="), SERVER_NONCE);
        assert_eq!(sent, SERVER_FIRST.as_bytes());
        challenge
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let last = challenge().finish(FINAL.as_bytes()).unwrap();
        assert_eq!(last, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    /// A client written anew here, so that SHA-512 is checked by other code than the server's.
    #[test]
    fn a_client_and_the_server_agree_and_any_change_breaks_it() {
        for hash in Hash::ALL {
            let verifier = verifier(hash, "W22ZaJ0SNY7soEsUEjb6gQ==");
            let first = ClientFirst::parse(b"y,a=a=2Cb=3D,n=a=2Cb=3D,r=abc,x=ignored").unwrap();
            assert_eq!(first.user, "a,b=");
            let (server_first, challenge) = first.challenge(verifier.clone()).unwrap();
            let server_first = String::from_utf8(server_first).unwrap();
            let nonce = server_first.split(',').next().unwrap().strip_prefix("r=").unwrap();
            assert!(nonce.starts_with("abc") && nonce.len() > 30, "{nonce}");
            let without_proof = format!("c={},r={nonce}", STANDARD.encode("y,a=a=2Cb=3D,"));
            let signed = format!("n=a=2Cb=3D,r=abc,x=ignored,{server_first},{without_proof}");
            let salted = hash.salted_password(b"pencil", &verifier.salt, 4096);
            let client_key = hash.hmac(&salted, b"Client Key");
            let signature = hash.hmac(&hash.digest(&client_key), signed.as_bytes());
            let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
            let good = format!("{without_proof},p={}", STANDARD.encode(&proof));
            let mut wrong = proof;
            wrong[5] ^= 1;
            let wrong = format!("{without_proof},p={}", STANDARD.encode(&wrong));
            let again = Challenge { verifier: verifier.clone(), ..copy(&challenge) };
            assert!(matches!(again.finish(wrong.as_bytes()), Err(LoginError::Credentials)));
            let last = challenge.finish(good.as_bytes()).unwrap();
            let expected = STANDARD.encode(hash.hmac(&hash.hmac(&salted, b"Server Key"), signed.as_bytes()));
            assert_eq!(last, format!("v={expected}").as_bytes());
        }
    }

    fn copy(challenge: &Challenge) -> Challenge {
        Challenge {
            verifier: challenge.verifier.clone(),
            header: challenge.header.clone(),
            nonce: challenge.nonce.clone(),
            exchanged: challenge.exchanged.clone(),
        }
    }

    #[test]
    fn first_messages_that_are_refused() {
        for bad in [
            &b""[..],
            b"n,,",
            b"n,,n=user",
            b"n,,n=,r=abc",
            b"n,,n=user,r=",
            b"n,,n=user,r=a b",
            b"n,,n=us=er,r=abc",
            b"n,,n=user=2,r=abc",
            b"n,,r=abc,n=user",
            b"n,,m=x,n=user,r=abc",
            b"p=tls-unique,,n=user,r=abc",
            b"n,x,n=user,r=abc",
            b"n,,n=user,r=abc,tokenauth=true",
            b"n,,n=\xff,r=abc",
        ] {
            let refused = ClientFirst::parse(bad);
            assert!(matches!(refused, Err(LoginError::Malformed(_))), "{}", String::from_utf8_lossy(bad));
        }
        assert!(matches!(ClientFirst::parse(b"n,a=root,n=user,r=abc"), Err(LoginError::Identity)));
    }

    #[test]
    fn final_messages_that_are_refused() {
        for (from, to) in
            [("c=biws", "c=eSws"), ("hNlF$k0", "hNlF$k1"), (",p=", ",q="), ("VQ=", "VQ"), ("p=dHzb", "p=")]
        {
            let refused = challenge().finish(FINAL.replace(from, to).as_bytes());
            assert!(matches!(refused, Err(LoginError::Malformed(_))), "{from}: {refused:?}");
        }
        let wrong = challenge().finish(FINAL.replace("p=dHzb", "p=dHzc").as_bytes());
        assert!(matches!(wrong, Err(LoginError::Credentials)));
        let wrong = challenge().finish(FINAL.replace(",p=", ",x=y,p=").as_bytes());
        assert!(matches!(wrong, Err(LoginError::Credentials)), "extensions are signed too");
    }
}
