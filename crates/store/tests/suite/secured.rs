//! TLS to PostgreSQL, with certificates that the `openssl` command makes.

use std::fs::write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use retort_store::{Error, Store};

use retort_testing::postgres::{Server, is_root, succeed};

/// Who may come: `retort` only encrypted, `certified` only with a certificate of that name.
const WHO_MAY_COME: &str = "local all retort trust\n\
    hostssl all certified localhost cert\n\
    hostssl all retort localhost trust\n";

/// Makes an authority.
fn authority(folder: &Path, name: &str) {
    openssl(folder, name, &format!("/CN={name}"), &["-addext", "keyUsage=critical,keyCertSign"]);
}

/// Makes a certificate that `authority` vouches for.
fn certificate(folder: &Path, authority: &str, name: &str, host: &str) {
    let (by, key) = (format!("{authority}.pem"), format!("{authority}.key"));
    let host = format!("subjectAltName=DNS:{host}");
    let more = ["-CA", &by, "-CAkey", &key, "-addext", "basicConstraints=critical,CA:FALSE"];
    openssl(folder, name, &format!("/CN={name}"), &[&more[..], &["-addext", &host]].concat());
}

fn openssl(folder: &Path, name: &str, subject: &str, more: &[&str]) {
    succeed(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-subj", subject, "-keyout", &format!("{name}.key")])
            .args(["-out", &format!("{name}.pem")])
            .args(more)
            .current_dir(folder),
    );
}

#[test]
fn connections_are_as_secure_as_the_url_asks() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("passed over: there is no `openssl` that makes certificates");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    authority(here, "authority");
    authority(here, "stranger");
    certificate(here, "authority", "server", "localhost");
    certificate(here, "authority", "certified", "nowhere");
    write(here.join("hba"), WHO_MAY_COME).unwrap();
    if is_root() {
        succeed(Command::new("chown").arg("-R").arg("postgres").arg(here));
    }
    let port = TcpListener::bind(("localhost", 0)).unwrap().local_addr().unwrap().port();
    let at = here.display();
    let Some(server) = Server::start(&format!(
        "-c listen_addresses=localhost -c port={port} -c hba_file={at}/hba -c ssl=on -c ssl_ca_file={at}/authority.pem \
         -c ssl_cert_file={at}/server.pem -c ssl_key_file={at}/server.key"
    )) else {
        return;
    };
    let socket = server.folder.to_str().unwrap().replace('/', "%2F");
    let on_socket = format!("postgres://retort@{socket}:{port}/postgres");
    let mut client = ::postgres::Client::connect(&on_socket, ::postgres::NoTls).unwrap();
    client.batch_execute("CREATE ROLE certified LOGIN SUPERUSER").unwrap();

    let open = |user: &str, host: &str, options: &str| {
        let url = format!("postgres://{user}@{host}:{port}/postgres?{options}");
        Store::open(&url, "i").map(drop).map_err(|error: Error| error.to_string())
    };
    let refused = |host: &str, options: &str, why: &str| {
        let error = open("retort", host, options).unwrap_err();
        assert!(error.contains(why), "{options}: {error}");
    };
    let by_authority = format!("sslrootcert={at}/authority.pem");
    let by_stranger = format!("sslrootcert={at}/stranger.pem");
    let of_server = format!("sslrootcert={at}/server.pem");

    refused("localhost", "sslmode=disable", "no encryption");
    for options in ["", "sslmode=prefer", "sslmode=require"] {
        assert_eq!(open("retort", "localhost", options), Ok(()), "{options}");
    }
    for roots in [&by_authority, &of_server] {
        assert_eq!(open("retort", "localhost", &format!("sslmode=verify-full&{roots}")), Ok(()));
        assert_eq!(open("retort", "127.0.0.1", &format!("sslmode=verify-ca&{roots}")), Ok(()));
        refused("127.0.0.1", &format!("sslmode=verify-full&{roots}"), "not valid for name");
    }
    for mode in ["verify-full", "verify-ca", "require"] {
        refused("localhost", &format!("sslmode={mode}&{by_stranger}"), "UnknownIssuer");
    }
    // Of the authorities that the system trusts, none knows this server.
    for options in ["sslmode=verify-full", "sslrootcert=system"] {
        refused("localhost", options, "");
    }
    refused("localhost", "sslmode=require&sslrootcert=system", "verify-full");
    refused("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem", "/nowhere.pem");
    refused("localhost", "sslmode=verify-fully", "sslmode");

    let own = format!("sslcert={at}/certified.pem&sslkey={at}/certified.key");
    let verified = format!("sslmode=verify-full&{by_authority}");
    assert_eq!(open("certified", "localhost", &format!("{verified}&{own}")), Ok(()));
    assert!(open("certified", "localhost", &verified).unwrap_err().contains("certificate"));
    // On a socket of this machine nothing is encrypted.
    assert!(Store::open(&format!("{on_socket}?sslmode=require"), "i").is_ok());
}
