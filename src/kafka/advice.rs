//! What to do about a refused or misunderstood connection.
//!
//! rskafka and rustls say what happened deep inside; which setting is at fault is only to be told from their words, since
//! rskafka's types for it are private. A word that is missed costs the advice, not the error.

/// What an error's words mean, and what mends it.
struct Advice {
    words: &'static [&'static str],
    advice: &'static str,
}

/// None of these is mended by another try.
const KNOWN: &[Advice] = &[
    Advice {
        words: &["SaslAuthenticationFailed"],
        advice: "the broker refuses this user or password; check --username and CARTLOG_PASSWORD or --password-file",
    },
    Advice {
        words: &["UnsupportedSaslMechanism", "unsupported sasl mechanism"],
        advice: "the broker doesn't offer this mechanism; choose another one with --sasl",
    },
    Advice {
        words: &["IllegalSaslState"],
        advice: "the broker asks for no login on this port; leave --sasl away or use another port",
    },
    Advice {
        words: &["InvalidContentType", "corrupt message", "tls handshake eof"],
        advice: "this port doesn't speak TLS; leave --tls away or use the broker's TLS port",
    },
    Advice {
        words: &["Invalid Hostname"],
        advice: "the broker tells an address without a name to check its certificate by; have it tell a name \
                 (advertised.listeners, or --advertise of `cartlog broker`)",
    },
    Advice {
        words: &["NotValidForName", "not valid for name"],
        advice: "the broker's certificate is for another name; use a name that it holds in --brokers",
    },
    Advice {
        words: &["Expired", "expired"],
        advice: "a certificate is no longer valid; check the clock, and the broker's certificate",
    },
    Advice {
        words: &["CaUsedAsEndEntity"],
        advice: "the broker shows the certificate of an authority as its own; give it one that the authority has signed",
    },
    Advice {
        words: &["UnknownIssuer", "invalid peer certificate", "BadSignature"],
        advice: "the broker's certificate isn't trusted; name the certificate it comes from with --tls-ca FILE",
    },
    Advice {
        words: &["CertificateRequired", "BadCertificate", "HandshakeFailure", "UnknownCA"],
        advice: "the broker asks for another client certificate; give one with --tls-cert FILE --tls-key FILE",
    },
    Advice {
        words: &["MessageTooLarge: ", "Message too large", "message too large"],
        advice: "this port speaks something else, perhaps TLS (--tls)",
    },
];

/// What the words of a connection mean that is closed before it says anything.
const CLOSED_AT_ONCE: &[&str] = &["early eof", "unexpected end of file", "Connection reset"];

/// What may be meant by an error that another try may mend all the same: a broker that is starting closes connections too.
pub(super) fn guess(words: &str, has_tls: bool) -> Option<&'static str> {
    let is_closed = CLOSED_AT_ONCE.iter().any(|word| words.contains(word));
    (is_closed && !has_tls).then_some("if this port speaks TLS, say --tls")
}

/// What mends this error, if another try doesn't.
pub(super) fn advice(words: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| known.words.iter().any(|word| words.contains(word))).map(|known| known.advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_errors_are_known() {
        for (words, expected) in [
            ("Sasl handshake failed: API error: SaslAuthenticationFailed", "password"),
            ("IO Error: invalid peer certificate: UnknownIssuer", "--tls-ca"),
            ("IO Error: invalid peer certificate: certificate not valid for name \"a\"", "another name"),
            ("error connecting to broker \"::1:9093\": Invalid Hostname: invalid dns name", "--advertise"),
            ("IO Error: received corrupt message of type InvalidContentType", "leave --tls away"),
            ("IO Error: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "authority"),
        ] {
            assert!(advice(words).unwrap().contains(expected), "{words}");
        }
        assert_eq!(advice("IO Error: Connection refused (os error 111)"), None);
        assert!(guess("Connection is poisoned: IO Error: early eof", false).unwrap().contains("--tls"));
        assert_eq!(guess("Connection is poisoned: IO Error: early eof", true), None);
        assert_eq!(guess("IO Error: Connection refused (os error 111)", false), None);
    }
}
