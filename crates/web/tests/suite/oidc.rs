//! Sign-in, against a real provider.

use retort_model::Time;
use retort_testing_server::provider::{
    Algorithm, CLIENT_ID, CLIENT_SECRET, ENDS, Fault, ISSUED, Manner, Person, Provider, parameter,
    visit,
};
use retort_web::oidc::{Begin, Oidc, OidcError, OidcSettings, Verified};

const DESCRIPTION: &str = "/.well-known/openid-configuration";
const HOUR: i64 = 3600;

/// So many seconds after the tokens were issued.
fn after(seconds: i64) -> Time {
    Time::from_epoch_ms((ISSUED + seconds) * 1000).unwrap()
}

fn settings(provider: &Provider) -> OidcSettings {
    OidcSettings {
        issuer: provider.issuer().to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(CLIENT_SECRET.to_owned()),
        redirect: "http://127.0.0.1:8080/sign-in/callback".to_owned(),
        scopes: Vec::new(),
        trusts_email: false,
    }
}

#[tokio::test]
async fn an_issuer_for_everyones_tenants_is_not_trusted_with_addresses() {
    let provider = Provider::start().await;
    let at = |issuer: &str, trusts_email| {
        let issuer = issuer.to_owned();
        Oidc::new(OidcSettings { issuer, trusts_email, ..settings(&provider) }).map(|_| ())
    };
    let own = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
    assert_eq!(at(own, true), Ok(()));
    for tenant in ["common", "organizations", "consumers", "Common"] {
        let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        assert_eq!(at(&issuer, false), Ok(()));
        let error = at(&issuer, true).unwrap_err().to_string();
        assert!(error.contains("your own tenant's issuer"), "{error}");
    }
}

fn oidc(provider: &Provider) -> Oidc {
    Oidc::new(settings(provider)).unwrap()
}

/// A sign-in up to the way back: what was begun, and the code.
async fn come_back(oidc: &Oidc, now: Time) -> Result<(Begin, String), OidcError> {
    let begin = oidc.begin(now).await?;
    let back = visit(&begin.url).await.unwrap();
    assert_eq!(parameter(&back, "state").as_ref(), Some(&begin.state));
    let code = parameter(&back, "code").unwrap();
    Ok((begin, code))
}

async fn sign_in(oidc: &Oidc, now: Time) -> Result<Verified, OidcError> {
    let (begin, code) = come_back(oidc, now).await?;
    oidc.finish(&begin.keep, &begin.state, &code, now).await
}

fn ada(provider: &Provider) -> Verified {
    Verified {
        issuer: provider.issuer().to_owned(),
        subject: "subject-of-ada".to_owned(),
        email: Some("ada@example.com".to_owned()),
        email_verified: Some(true),
        name: Some("ada".to_owned()),
    }
}

#[tokio::test]
async fn the_whole_round_works_with_each_kind_of_key() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let provider = Provider::start().await;
        provider.rotate(algorithm);
        let verified = sign_in(&oidc(&provider), after(1)).await;
        assert_eq!(verified, Ok(ada(&provider)), "{algorithm:?}");
        assert_eq!(provider.requests("/userinfo"), 0);
    }
}

#[tokio::test]
async fn people_are_as_the_provider_says() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    provider.sign_in_as(Person {
        email_verified: Some(false),
        name: None,
        ..Person::with_email("grace@example.com")
    });
    let grace = Verified {
        issuer: provider.issuer().to_owned(),
        subject: "subject-of-grace".to_owned(),
        email: Some("grace@example.com".to_owned()),
        email_verified: Some(false),
        name: None,
    };
    assert_eq!(sign_in(&oidc, after(1)).await, Ok(grace.clone()));

    // Report oidc-entra: a provider that does not say whether it verified an address.
    provider.sign_in_as(Person {
        email_verified: None,
        name: None,
        ..Person::with_email("grace@example.com")
    });
    let unsaid = Verified { email_verified: None, ..grace.clone() };
    assert_eq!(sign_in(&oidc, after(1)).await, Ok(unsaid.clone()));

    provider.sign_in_as(Person {
        email: None,
        name: None,
        ..Person::with_email("grace@example.com")
    });
    assert_eq!(sign_in(&oidc, after(1)).await, Ok(Verified { email: None, ..unsaid }));
}

#[tokio::test]
async fn the_provider_is_asked_for_a_code_with_pkce_state_and_nonce() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    let (first, second) =
        (oidc.begin(after(1)).await.unwrap(), oidc.begin(after(1)).await.unwrap());
    let url = &first.url;
    assert!(url.as_str().starts_with(&format!("{}/authorize?", provider.issuer())), "{url}");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", "http://127.0.0.1:8080/sign-in/callback"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
        ("state", &first.state),
    ] {
        assert_eq!(parameter(url, name).as_deref(), Some(value), "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        let (one, two) = (parameter(url, name).unwrap(), parameter(&second.url, name).unwrap());
        assert!(one.len() >= 22 && one != two, "{name}");
    }
    // The verifier stays in the cookie, and the cookie needs no quoting.
    let [_, _, verifier] = first.keep.split('.').collect::<Vec<_>>()[..] else { panic!() };
    assert!(!url.as_str().contains(verifier));
    assert!(first.keep.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    assert!(!url.as_str().contains("secret"));
}

#[tokio::test]
async fn what_does_not_hold_is_refused() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    for (fault, expect) in [
        (Fault::WrongNonce, "Invalid nonce: nonce mismatch"),
        (Fault::NoNonce, "Invalid nonce: missing nonce claim"),
        (Fault::WrongAudience, "Invalid audiences: must contain `retort`"),
        (Fault::ManyAudiences, "`another-client` is not a trusted audience"),
        (Fault::OtherParty, "it was issued to `another-client`"),
        (Fault::Expired, "Expired: ID token expired"),
        (Fault::OtherIssuer, "Invalid issuer: expected `http://127.0.0.1"),
        (Fault::Unsigned, "No signature found"),
        (Fault::SignatureCut, "Crypto error: bad signature"),
        (Fault::HmacWithPublicKey, "Disallowed signature algorithm: algorithm `HS256`"),
        (Fault::HmacWithClientSecret, "Disallowed signature algorithm: algorithm `HS256`"),
        (Fault::OtherKey, "No matching key found"),
        (Fault::UnpublishedKey, "No matching key found"),
        (Fault::ClaimsChanged, "Crypto error: bad signature"),
        (Fault::NoIdToken, "there is none in the answer"),
    ] {
        provider.commit(fault);
        let error = sign_in(&oidc, after(1)).await.unwrap_err();
        assert!(matches!(error, OidcError::Token(_)), "{fault:?}: {error}");
        assert!(error.to_string().contains(expect), "{fault:?}: {error}");
    }
    provider.commit(None);
    assert_eq!(sign_in(&oidc, after(1)).await, Ok(ada(&provider)));
}

#[tokio::test]
async fn another_key_of_the_same_kind_and_name_is_refused() {
    let provider = Provider::start().await;
    provider.rotate(Algorithm::Es256);
    provider.commit(Fault::OtherKey);
    let error = sign_in(&oidc(&provider), after(1)).await.unwrap_err();
    assert!(error.to_string().contains("Crypto error: EC Signature was wrong"), "{error}");
}

#[tokio::test]
async fn a_token_holds_until_its_end() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    assert!(sign_in(&oidc, after(ENDS - ISSUED - 1)).await.is_ok());
    let error = sign_in(&oidc, after(ENDS - ISSUED)).await.unwrap_err();
    assert!(error.to_string().contains("Expired"), "{error}");
}

#[tokio::test]
async fn a_code_is_good_for_one_sign_in() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    let (begin, code) = come_back(&oidc, after(1)).await.unwrap();
    assert!(oidc.finish(&begin.keep, &begin.state, &code, after(1)).await.is_ok());
    let again = oidc.finish(&begin.keep, &begin.state, &code, after(1)).await.unwrap_err();
    assert_eq!(
        again,
        OidcError::Refused("`invalid_grant`: it is used, too old, or another's".into())
    );
}

#[tokio::test]
async fn a_state_that_this_browser_did_not_begin_is_refused_before_the_provider_is_asked() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    let (mine, _) = come_back(&oidc, after(1)).await.unwrap();
    let (other, code) = come_back(&oidc, after(1)).await.unwrap();
    let [state, nonce, verifier] = mine.keep.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for (keep, state) in [
        (mine.keep.as_str(), other.state.as_str()),
        (&mine.keep, ""),
        (&mine.keep, &format!("{state} ")),
        ("", ""),
        ("..", ""),
        (&format!("{state}.{nonce}"), state),
        (&format!("{state}.{nonce}.{verifier}.{verifier}"), state),
        (&format!("short.{nonce}.{verifier}"), "short"),
        (&format!("{state}..{verifier}"), state),
    ] {
        let error = oidc.finish(keep, state, &code, after(1)).await.unwrap_err();
        assert_eq!(error, OidcError::Stray, "{keep} {state}");
    }
    assert_eq!(provider.requests("/token"), 0);
}

#[tokio::test]
async fn a_code_is_of_no_use_without_the_verifier_it_was_issued_for() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    let (mine, _) = come_back(&oidc, after(1)).await.unwrap();
    let (_, stolen) = come_back(&oidc, after(1)).await.unwrap();
    let error = oidc.finish(&mine.keep, &mine.state, &stolen, after(1)).await.unwrap_err();
    assert!(error.to_string().contains("`invalid_grant`"), "{error}");

    // With the right verifier and one's own nonce, as if the cookie were written by hand.
    let (begin, code) = come_back(&oidc, after(1)).await.unwrap();
    let [state, _, verifier] = begin.keep.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let forged = format!("{state}.{}.{verifier}", "n".repeat(22));
    let error = oidc.finish(&forged, state, &code, after(1)).await.unwrap_err();
    assert!(error.to_string().contains("nonce mismatch"), "{error}");
}

#[tokio::test]
async fn the_provider_of_these_tests_insists_on_pkce() {
    let provider = Provider::start().await;
    let mut url = oidc(&provider).begin(after(1)).await.unwrap().url;
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .into_owned()
        .filter(|(name, _)| !name.starts_with("code_challenge"))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
    assert_eq!(visit(&url).await, Err("PKCE with S256 is required".to_owned()));
}

#[tokio::test]
async fn what_the_provider_says_of_itself_is_kept_for_an_hour() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    assert_eq!(provider.requests(DESCRIPTION), 0);
    for (seconds, expect) in [(0, 1), (1, 1), (HOUR - 1, 1), (HOUR, 2), (HOUR + 1, 2), (0, 3)] {
        sign_in(&oidc, after(seconds)).await.unwrap();
        assert_eq!(provider.requests(DESCRIPTION), expect, "{seconds}");
        assert_eq!(provider.requests("/keys"), expect, "{seconds}");
    }
}

#[tokio::test]
async fn a_new_key_is_taken_when_a_token_is_signed_with_it() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    sign_in(&oidc, after(1)).await.unwrap();
    for (algorithm, expect) in
        [(Algorithm::Rs256, 2), (Algorithm::Es256, 3), (Algorithm::Es256, 4), (Algorithm::EdDsa, 5)]
    {
        provider.rotate(algorithm);
        assert_eq!(sign_in(&oidc, after(2)).await, Ok(ada(&provider)), "{algorithm:?}");
        assert_eq!(sign_in(&oidc, after(3)).await, Ok(ada(&provider)), "{algorithm:?}");
        assert_eq!(provider.requests("/keys"), expect);
    }
}

#[tokio::test]
async fn a_new_key_is_taken_where_keys_have_no_ids() {
    let provider = Provider::start().await;
    provider.behave(Manner::NoKeyIds);
    let oidc = oidc(&provider);
    provider.rotate(Algorithm::Es256);
    sign_in(&oidc, after(1)).await.unwrap();
    provider.rotate(Algorithm::Es256);
    assert_eq!(sign_in(&oidc, after(2)).await, Ok(ada(&provider)));
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_again_after_a_pause() {
    let mut provider = Provider::start().await;
    provider.stop().await;
    let oidc = oidc(&provider);
    let error = sign_in(&oidc, after(1)).await.unwrap_err();
    assert!(error.to_string().starts_with("sign-in provider: no connection: "), "{error}");
    assert_eq!(error.for_people(), "The sign-in provider did not answer. Try again in a minute.");

    provider.resume().await;
    assert_eq!(sign_in(&oidc, after(2)).await, Err(error));
    assert_eq!(sign_in(&oidc, after(6)).await, Ok(ada(&provider)));
}

#[tokio::test]
async fn a_provider_that_goes_down_is_still_known_and_works_when_it_is_back() {
    let mut provider = Provider::start().await;
    let oidc = oidc(&provider);
    let (begin, code) = come_back(&oidc, after(1)).await.unwrap();
    provider.stop().await;
    assert!(oidc.begin(after(2)).await.is_ok());
    assert!(oidc.begin(after(HOUR + 2)).await.is_ok());
    let error = oidc.finish(&begin.keep, &begin.state, &code, after(HOUR + 2)).await.unwrap_err();
    assert!(matches!(error, OidcError::Provider(_)), "{error}");

    provider.resume().await;
    assert_eq!(
        oidc.finish(&begin.keep, &begin.state, &code, after(HOUR + 3)).await,
        Ok(ada(&provider))
    );
    assert_eq!(provider.requests(DESCRIPTION), 1);
    assert_eq!(sign_in(&oidc, after(HOUR + 10)).await, Ok(ada(&provider)));
    assert_eq!(provider.requests(DESCRIPTION), 2);
}

#[tokio::test]
async fn a_provider_whose_tokens_fail_is_read_anew() {
    let provider = Provider::start().await;
    let oidc = oidc(&provider);
    provider.commit(Fault::TokensBroken);
    let error = sign_in(&oidc, after(1)).await.unwrap_err();
    assert_eq!(error, OidcError::Provider("status 502 Bad Gateway".into()));
    provider.commit(None);
    assert_eq!(sign_in(&oidc, after(2)).await, Ok(ada(&provider)));
    assert_eq!(provider.requests(DESCRIPTION), 2);
}

#[tokio::test]
async fn a_description_that_is_not_the_provider_s_is_refused() {
    for (fault, expect) in [
        (Fault::DescribedAsAnother, "unexpected issuer URI `https://accounts.example.com`"),
        (Fault::DescriptionRedirected, "HTTP status code 302"),
        (Fault::EndlessKeys, "an answer of more than 262144 bytes"),
    ] {
        let provider = Provider::start().await;
        provider.commit(fault);
        let error = sign_in(&oidc(&provider), after(1)).await.unwrap_err();
        assert!(matches!(error, OidcError::Provider(_)), "{fault:?}: {error}");
        assert!(error.to_string().contains(expect), "{fault:?}: {error}");
        assert_eq!(provider.requests("/elsewhere"), 0);
    }
}

#[tokio::test]
async fn what_providers_do_differently_is_understood() {
    for manner in [Manner::SecretInBody, Manner::Public, Manner::LooseTypes, Manner::DetailsApart] {
        let provider = Provider::start().await;
        provider.behave(manner);
        let mut settings = settings(&provider);
        if manner == Manner::Public {
            settings.client_secret = None;
        }
        let verified = sign_in(&Oidc::new(settings).unwrap(), after(1)).await;
        assert_eq!(verified, Ok(ada(&provider)), "{manner:?}");
    }
}

#[tokio::test]
async fn details_of_another_person_are_refused() {
    let provider = Provider::start().await;
    provider.behave(Manner::DetailsApart);
    let oidc = oidc(&provider);
    for (fault, expect) in [
        (
            Fault::DetailsOfAnother,
            "sign-in: the token is not valid: the person's details are another's",
        ),
        (Fault::AccessTokenNoHeader, "sign-in provider: its access token is not one"),
    ] {
        provider.commit(fault);
        let error = sign_in(&oidc, after(1)).await.unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
}

#[tokio::test]
async fn errors_hold_no_secrets() {
    let provider = Provider::start().await;
    let wrong = OidcSettings { client_secret: Some("wrong-secret".into()), ..settings(&provider) };
    let error = sign_in(&Oidc::new(wrong).unwrap(), after(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "sign-in: the provider refused the code: `invalid_client`: check the client id and secret"
    );

    let oidc = oidc(&provider);
    provider.commit(Fault::NotAToken);
    let error = sign_in(&oidc, after(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "sign-in provider: its answer to the code is not what OpenID Connect says"
    );
    provider.commit(Fault::TokensNoJson);
    let error = sign_in(&oidc, after(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "sign-in provider: its answer to the code is not JSON");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let check = |issuer: &str, client_id: &str, redirect: &str| {
        Oidc::new(OidcSettings {
            trusts_email: false,
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: None,
            redirect: redirect.into(),
            scopes: Vec::new(),
        })
        .err()
        .map(|error| error.to_string())
    };
    let back = "https://retort.example.com/callback";
    for issuer in
        ["https://accounts.google.com", "http://localhost:8080/realms/a", "http://[::1]:80"]
    {
        assert_eq!(check(issuer, "id", back), None, "{issuer}");
    }
    for (issuer, client_id, redirect, expect) in [
        ("accounts.google.com", "id", back, "the issuer is not a URL: "),
        (
            "http://accounts.google.com",
            "id",
            back,
            "the issuer `http://accounts.google.com` is not encrypted",
        ),
        ("http://10.0.0.1", "id", back, "the issuer `http://10.0.0.1` is not encrypted"),
        ("file:///etc", "id", back, "the issuer `file:///etc` is not encrypted"),
        ("https://accounts.google.com", "", back, "the client id is empty"),
        (
            "https://accounts.google.com",
            "id",
            "/callback",
            "the page to come back to is not an absolute URL",
        ),
    ] {
        let error = check(issuer, client_id, redirect).unwrap();
        assert!(error.starts_with(&format!("sign-in settings: {expect}")), "{error}");
    }
}

#[tokio::test]
async fn many_can_sign_in_at_once_and_the_provider_is_read_once() {
    let provider = Provider::start().await;
    let oidc = std::sync::Arc::new(oidc(&provider));
    let people: Vec<_> = (0..8)
        .map(|_| {
            let oidc = oidc.clone();
            tokio::spawn(async move { sign_in(&oidc, after(1)).await })
        })
        .collect();
    for person in people {
        assert_eq!(person.await.unwrap(), Ok(ada(&provider)));
    }
    assert_eq!(provider.requests(DESCRIPTION), 1);
}
