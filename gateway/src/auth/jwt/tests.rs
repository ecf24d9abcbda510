use super::*;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        self as ring_signature, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _,
    },
};
use serde_json::json;
use std::fs;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A token whose signature `sign` makes.
fn token(head: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", b64(head.to_string()), b64(claims.to_string()));
    format!("{message}.{}", b64(sign(message.as_bytes())))
}

fn hs256(key: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> {
    move |message| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().into()
}

fn far() -> i64 {
    crate::clock::now().0 / 1_000 + 3_600
}

fn claims() -> Value {
    json!({"sub": "d1", "exp": far(), "type": "pump"})
}

fn keys_in(name: &str, content: &[u8]) -> Result<JwtKeys, BadKey> {
    keys_for(name, content, "")
}

fn keys_for(name: &str, content: &[u8], audience: &str) -> Result<JwtKeys, BadKey> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, content).unwrap();
    let source = if name == "jwks" { KeySource::Jwks(file) } else { KeySource::KeyFile(file) };
    JwtKeys::read(source, audience, "sub")
}

fn pem(label: &str, prefix: &[u8], key: &[u8]) -> Vec<u8> {
    use base64::prelude::BASE64_STANDARD;
    let der = BASE64_STANDARD.encode([prefix, key].concat());
    let lines: Vec<_> =
        der.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into()
}

/// SubjectPublicKeyInfo up to the key (RFC 8410, RFC 5480).
const ED25519: &[u8] = &[0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0];
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1, 6, 8, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 3, 1, 7, 3, 0x42, 0,
];

fn ed_pair() -> Ed25519KeyPair {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()
}

fn ec_pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

fn is_d1(keys: &JwtKeys, token: &str) {
    let bearer = keys.verify(token).unwrap();
    assert_eq!((bearer.device.as_str(), bearer.kind.as_deref()), ("d1", Some("pump")));
    // Each character of the signature counts.
    let last = if token.ends_with('A') { "B" } else { "A" };
    let (message, signature) = token.rsplit_once('.').unwrap();
    let broken = format!("{message}.{last}{}", signature.split_at(1).1);
    if broken != token {
        assert_eq!(keys.verify(&broken), Err(BadJwt::Wrong));
    }
}

#[test]
fn hs256_is_checked_with_the_bytes_of_a_file() {
    let keys = keys_in("secret", SECRET).unwrap();
    is_d1(&keys, &token(&json!({"alg": "HS256"}), &claims(), hs256(SECRET)));
    let wrong = token(&json!({"alg": "HS256"}), &claims(), hs256(b"another"));
    assert_eq!(keys.verify(&wrong), Err(BadJwt::Wrong));
    assert!(keys_in("secret", b"short").unwrap_err().0.contains("32 bytes"));
}

#[test]
fn eddsa_is_checked_with_a_pem_key() {
    let pair = ed_pair();
    let keys = keys_in("pem", &pem("PUBLIC KEY", ED25519, pair.public_key().as_ref())).unwrap();
    let sign = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    is_d1(&keys, &token(&json!({"alg": "EdDSA"}), &claims(), sign));
}

#[test]
fn es256_is_checked_with_a_pem_key() {
    let pair = ec_pair();
    let keys = keys_in("pem", &pem("PUBLIC KEY", P256, pair.public_key().as_ref())).unwrap();
    let sign = |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    is_d1(&keys, &token(&json!({"alg": "ES256"}), &claims(), sign));
}

/// Made with openssl: `testdata/README.md` says how.
#[test]
fn rs256_is_checked_with_a_pem_key_and_with_a_jwk() {
    let pair =
        ring::rsa::KeyPair::from_pkcs8(include_bytes!("../testdata/rsa-private.der")).unwrap();
    let sign = |message: &[u8]| {
        let mut signature = vec![0; pair.public().modulus_len()];
        let padding = &ring_signature::RSA_PKCS1_SHA256;
        pair.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    let signed = token(&json!({"alg": "RS256", "kid": "r"}), &claims(), sign);
    is_d1(&keys_in("pem", include_bytes!("../testdata/rsa-public.pem")).unwrap(), &signed);
    let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
    let jwk = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "e", "x": b64(ed_pair().public_key())},
        {"kty": "RSA", "kid": "r", "alg": "RS256", "n": b64(public.n), "e": b64(public.e)},
    ]});
    is_d1(&keys_in("jwks", jwk.to_string().as_bytes()).unwrap(), &signed);
}

#[test]
fn a_key_set_has_keys_of_all_kinds_and_a_token_is_checked_with_the_one_it_names() {
    let (ed, ec) = (ed_pair(), ec_pair());
    let point = ec.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let set = json!({"keys": [
        {"kty": "oct", "kid": "s", "k": b64(SECRET)},
        {"kty": "OKP", "crv": "Ed25519", "kid": "e", "x": b64(ed.public_key())},
        {"kty": "EC", "crv": "P-256", "kid": "c", "x": b64(x), "y": b64(y)},
    ]});
    let keys = keys_in("jwks", set.to_string().as_bytes()).unwrap();
    let by_ed = |message: &[u8]| ed.sign(message).as_ref().to_vec();
    is_d1(&keys, &token(&json!({"alg": "HS256", "kid": "s"}), &claims(), hs256(SECRET)));
    is_d1(&keys, &token(&json!({"alg": "EdDSA", "kid": "e"}), &claims(), by_ed));
    is_d1(&keys, &token(&json!({"alg": "EdDSA"}), &claims(), by_ed));
    let misnamed = token(&json!({"alg": "EdDSA", "kid": "c"}), &claims(), by_ed);
    assert_eq!(keys.verify(&misnamed), Err(BadJwt::Wrong));
}

#[test]
fn a_token_does_not_choose_how_it_is_checked() {
    let pair = ed_pair();
    let public = pem("PUBLIC KEY", ED25519, pair.public_key().as_ref());
    let keys = keys_in("pem", &public).unwrap();
    for alg in ["none", "None", "HS256", "HS384", "RS256", "ES256", "PS256", "x", ""] {
        for key in [&public[..], pair.public_key().as_ref()] {
            let forged = token(&json!({"alg": alg}), &claims(), hs256(key));
            assert_eq!(keys.verify(&forged), Err(BadJwt::Wrong), "{alg}");
        }
        let unsigned = token(&json!({"alg": alg}), &claims(), |_| Vec::new());
        assert!(JwtKeys::is_one(&unsigned), "it is refused as a token, not tried as a secret");
        assert_eq!(keys.verify(&unsigned), Err(BadJwt::Wrong), "{alg}");
    }
    let critical = json!({"alg": "EdDSA", "crit": ["exp"]});
    let sign = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    assert_eq!(keys.verify(&token(&critical, &claims(), sign)), Err(BadJwt::Wrong));
}

#[test]
fn a_token_names_a_device_whether_it_is_right_or_not() {
    let keys = keys_in("secret", SECRET).unwrap();
    let forged = token(&json!({"alg": "HS256"}), &claims(), hs256(b"another"));
    assert_eq!(keys.named_by(&forged).as_deref(), Some("d1"));
    let nameless = token(&json!({"alg": "HS256"}), &json!({"sub": 7}), hs256(SECRET));
    for text in [nameless.as_str(), "", "a.b.c", "..", "x"] {
        assert_eq!(keys.named_by(text), None, "{text}");
    }
}

#[test]
fn a_token_needs_an_end_a_device_and_the_audience() {
    let plain = keys_in("secret", SECRET).unwrap();
    let meant = keys_for("secret", SECRET, "sluice").unwrap();
    let make = |claims: Value| token(&json!({"alg": "HS256"}), &claims, hs256(SECRET));
    let past = far() - 7_200;
    for (claims, by_plain, by_meant) in [
        (json!({"sub": "d1", "exp": far()}), true, false),
        (json!({"sub": "d1", "exp": far(), "aud": "sluice"}), true, true),
        (json!({"sub": "d1", "exp": far(), "aud": ["x", "sluice"]}), true, true),
        (json!({"sub": "d1", "exp": far(), "aud": "other"}), true, false),
        (json!({"sub": "d1"}), false, false),
        (json!({"sub": "d1", "exp": "soon"}), false, false),
        (json!({"sub": "d1", "exp": far(), "nbf": far()}), false, false),
        (json!({"sub": "a/b", "exp": far()}), false, false),
        (json!({"sub": 7, "exp": far()}), false, false),
        (json!({"exp": far()}), false, false),
    ] {
        let text = make(claims.clone());
        assert_eq!(plain.verify(&text).is_ok(), by_plain, "{claims}");
        assert_eq!(meant.verify(&text).is_ok(), by_meant, "{claims}");
    }
    assert_eq!(plain.verify(&make(json!({"sub": "d1", "exp": past}))), Err(BadJwt::Expired));
    let ends_at =
        plain.verify(&make(json!({"sub": "d1", "exp": 4_000_000_000_u64}))).unwrap().ends_at;
    assert_eq!(ends_at, Timestamp(4_000_000_000_000));
}

#[test]
fn a_file_without_a_key_that_can_be_used_says_why() {
    for (name, content, why) in [
        ("pem", &b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"[..], "private"),
        ("pem", b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", "pubout"),
        ("jwks", b"{}", "JSON Web Key Set"),
        ("jwks", br#"[[]]"#, "no array 'keys'"),
        ("jwks", br#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "can be used: keys[0]: k has less"),
        ("jwks", br#"{"keys":[{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}]}"#, "P-256"),
        (
            "jwks",
            br#"{"keys":[{"kty":"RSA","alg":"PS256","n":"AQAB","e":"AQAB"}]}"#,
            "bits, this one 17",
        ),
        ("pem", &rsa_pem(&[0xC5; 128]), "2048 to 8192 bits, this one 1024"),
    ] {
        let BadKey(said) = keys_in(name, content).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    assert!(JwtKeys::read(KeySource::Jwks("/nowhere".into()), "", "sub").is_err());
}

/// A key of RSA of 1,024 bits.
fn rsa_pem(modulus: &[u8; 128]) -> Vec<u8> {
    const RSA_1024: &[u8] = &[
        0x30, 0x81, 0x9F, 0x30, 0x0D, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0, 3,
        0x81, 0x8D, 0, 0x30, 0x81, 0x89, 2, 0x81, 0x81, 0,
    ];
    pem("PUBLIC KEY", RSA_1024, &[&modulus[..], &[2, 3, 1, 0, 1]].concat())
}

#[test]
fn keys_of_a_set_that_are_not_understood_or_for_something_else_are_ignored_and_told() {
    let other = b64(b"another secret of thirty-two bytes or more");
    let with = |name: &str, value: Value| {
        let mut jwk = json!({"kty": "oct", "kid": "x", "k": other});
        jwk[name] = value;
        jwk
    };
    let cases = [
        (with("use", json!("enc")), "use 'enc' is not 'sig'"),
        (with("key_ops", json!(["sign"])), "key_ops has no 'verify'"),
        (with("alg", json!("HS512")), "alg 'HS512' is not served: of its kind HS256 is"),
        (with("kty", json!("AKP")), "kty 'AKP' is not served"),
        (with("k", json!("?")), "k is no Base64"),
        (with("kid", json!(7)), "kid is no text"),
        (json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}), "crv 'P-384' is not served"),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "it has 32 bytes"),
        (json!({"kty": "RSA", "n": b64([0xC5; 128]), "e": "AQAB"}), "this one 1024"),
        (json!({"kty": "RSA", "e": "AQAB"}), "it has no n"),
        (json!("no key"), "it has no kty"),
    ];
    let good = json!({"kty": "oct", "k": b64(SECRET), "use": "sig", "key_ops": ["verify"]});
    let all: Vec<_> = cases.iter().map(|(jwk, _)| jwk).chain([&good]).collect();
    let keys = keys_in("jwks", json!({"keys": all}).to_string().as_bytes()).unwrap();
    let current = keys.current();
    assert_eq!((current.keys.len(), current.ignored.len()), (1, cases.len()));
    for (ignored, (jwk, why)) in current.ignored.iter().zip(&cases) {
        let told = ignored.to_string();
        assert!(told.contains(why), "{told}");
        assert_eq!(told.contains(r#"(kid "x")"#), jwk["kid"] == "x", "{told}");
    }
    let signed = |secret| token(&json!({"alg": "HS256"}), &claims(), hs256(secret));
    is_d1(&keys, &signed(SECRET));
    let ignored = signed(&b"another secret of thirty-two bytes or more"[..]);
    assert_eq!(keys.verify(&ignored), Err(BadJwt::Wrong));
}

#[test]
fn an_empty_set_takes_all_keys_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let set = json!({"keys": [{"kty": "oct", "k": b64(SECRET)}]}).to_string();
    fs::write(&file, &set).unwrap();
    let keys = JwtKeys::read(KeySource::Jwks(file.clone()), "", "sub").unwrap();
    let signed = token(&json!({"alg": "HS256"}), &claims(), hs256(SECRET));
    let bearer = keys.verify(&signed).unwrap();
    fs::write(&file, r#"{"keys":[]}"#).unwrap();
    keys.reload().unwrap();
    assert!(keys.verify(&signed).is_err() && !keys.has(&bearer.key));
    let begun = JwtKeys::read(KeySource::Jwks(file.clone()), "", "sub").unwrap();
    assert!(begun.verify(&signed).is_err());
    fs::write(&file, &set).unwrap();
    begun.reload().unwrap();
    is_d1(&begun, &signed);
}

#[test]
fn keys_that_are_read_again_count_and_those_that_are_gone_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let set = |secrets: &[&[u8]]| {
        let key = |secret: &&[u8]| json!({"kty": "oct", "k": b64(secret)});
        fs::write(&file, json!({"keys": secrets.iter().map(key).collect::<Vec<_>>()}).to_string())
    };
    let (old, new) = (SECRET, &b"another secret of thirty-two bytes or more"[..]);
    let signed = |secret| token(&json!({"alg": "HS256"}), &claims(), hs256(secret));
    set(&[old]).unwrap();
    let keys = JwtKeys::read(KeySource::Jwks(file.clone()), "", "sub").unwrap();
    let by_old = keys.verify(&signed(old)).unwrap();
    assert!(keys.verify(&signed(new)).is_err());

    set(&[old, new]).unwrap();
    keys.reload().unwrap();
    assert!(keys.verify(&signed(new)).is_ok() && keys.has(&by_old.key));

    fs::write(&file, "no keys").unwrap();
    let version = keys.version();
    assert!(keys.reload().is_err());
    assert!(keys.verify(&signed(new)).is_ok(), "the ones before stay");
    assert_eq!(keys.version(), version);

    set(&[new]).unwrap();
    keys.reload().unwrap();
    assert!(keys.verify(&signed(old)).is_err() && !keys.has(&by_old.key));
    assert!(keys.version() > version);
}
