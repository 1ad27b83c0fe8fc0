//! PLAIN (RFC 4616): `[authorization identity] NUL user NUL password`, in one token.

use super::exchange::LoginError;

/// User and password.
pub(super) struct Token<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
}

/// Takes a token apart. Like Apache Kafka, it takes an authorization identity only if it is the user itself.
///
/// # Errors
/// [`LoginError::Malformed`], and [`LoginError::Identity`] for another authorization identity.
pub(super) fn parse(token: &[u8]) -> Result<Token<'_>, LoginError> {
    let text = std::str::from_utf8(token).map_err(|_| LoginError::Malformed("the PLAIN token is not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(identity), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(LoginError::Malformed("the PLAIN token has not three parts"));
    };
    if user.is_empty() || password.is_empty() {
        return Err(LoginError::Malformed("the PLAIN token lacks a user or password"));
    }
    if !identity.is_empty() && identity != user {
        return Err(LoginError::Identity);
    }
    Ok(Token { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_three_parts_and_nothing_else() {
        for good in [&b"\0anna\0pass"[..], b"anna\0anna\0pass"] {
            let token = parse(good).unwrap();
            assert_eq!((token.user, token.password), ("anna", "pass"));
        }
        for bad in [&b""[..], b"anna\0pass", b"\0\0pass", b"\0anna\0", b"\0anna\0pass\0", b"\0anna\0\xff"] {
            assert!(matches!(parse(bad), Err(LoginError::Malformed(_))), "{bad:?}");
        }
        assert!(matches!(parse(b"root\0anna\0pass"), Err(LoginError::Identity)));
    }
}
