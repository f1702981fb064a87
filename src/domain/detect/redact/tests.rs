use super::*;
use rstest::rstest;

#[rstest]
#[case("limit as 'x'", "limit as 'x'")]
#[case(
    "your pull rate limit as 'acme': dckr_jti_a-b=. You may",
    "your pull rate limit as '[account]': [redacted]. You may"
)]
#[case("your pull rate limit as 'acme': 800a6d4e. You may", "your pull rate limit as '[account]': [redacted]. You may")]
#[case("your pull rate limit as 'acme'", "your pull rate limit as '[account]'")]
#[case("your pull rate limit as 'acm", "your pull rate limit as '[account]")]
#[case("https://me:pw@host/v2/", "https://[redacted]@host/v2/")]
#[case("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]")]
#[case("Authorization: Basic YWJjOmRlZg==", "Authorization: Basic [redacted]")]
#[case("docker login -u acme -p hunter2 docker.io", "docker login -u [account] -p [redacted] docker.io")]
#[case("--password=hunter2", "--password=[redacted]")]
#[case("DB_PASSWORD=hunter2 x", "DB_PASSWORD=[redacted] x")]
#[case("password: hunter2", "password: [redacted]")]
#[case("x ghp_0123456789abcdef y", "x [redacted] y")]
#[case("xghp_1-ghp_0123456789abcdef", "xghp_1-[redacted]")]
#[case("AWS_ACCESS_KEY_ID AKIAIOSFODNN7EXAMPLE", "AWS_ACCESS_KEY_ID [redacted]")]
#[case("t=eyJhbGciOiJIUzI1NiJ9.e30.abc", "t=[redacted]")]
#[case("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "[redacted]")]
#[case("https://s3/x?X-Amz-Signature=ab12&y=1", "https://s3/x?X-Amz-Signature=[redacted]&y=1")]
#[case("{\"password\": \"hunter2\", \"a\": \"b\"}", "{\"password\": \"[redacted]\", \"a\": \"b\"}")]
#[case(
    "https://registry-1.docker.io/v2/library/node/manifests/sha256:3960ed74dfe320a67bf8da9555b6bade25ebda2b22b6081d2f60fd7d5d430e00: 429",
    "https://registry-1.docker.io/v2/library/node/manifests/sha256:3960ed74dfe320a67bf8da9555b6bade25ebda2b22b6081d2f60fd7d5d430e00: 429"
)]
#[case(
    "failed to fetch anonymous token: unexpected status: 429",
    "failed to fetch anonymous token: unexpected status: 429"
)]
#[case("Requesting bearer token: invalid status code", "Requesting bearer token: invalid status code")]
#[case("no basic auth credentials", "no basic auth credentials")]
#[case("unauthorized: incorrect username or password", "unauthorized: incorrect username or password")]
#[case("a\u{1b}[31mb\u{7}c", "abc")]
fn secrets_go_and_the_rest_stays(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(redact(text), expected);
    assert_eq!(redact(expected), expected, "twice");
}

/// What follows is no secret of anybody: made up, or an example of its maker's documentation.
#[rstest]
#[case("token ghp_16C7e42F292c6912E7710c838347Ae178B4a end", "ghp_16C7")]
#[case(concat!("gh", "s_16C7e42F292c6912E7710c838347Ae178B4a"), "16C7e42")]
#[case(concat!("gi", "thub_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789abcdefghijklmnopqrstuvwxyz"), "11ABCDEFG0")]
#[case(concat!("gl", "pat-AbCdEf123456_xyz-789"), "AbCdEf123456")]
#[case("gldt-AbCdEf123456xyz789", "AbCdEf123456")]
#[case("glrt-AbCdEf123456xyz789", "AbCdEf123456")]
#[case("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7")]
#[case("ASIAIOSFODNN7EXAMPLE", "IOSFODNN7")]
#[case("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "K7MDENG")]
#[case("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "K7MDENG")]
#[case("AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "K7MDENG")]
#[case("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2VjEJ//////////wEaCXVzLWVhc3QtMSJHMEUCIQ==", "IQoJb3Jp")]
#[case("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "bPxRfiCY")]
#[case("dckr_pat_AbCdEfGhIjKlMnOpQrStUvWxYz0", "AbCdEfGh")]
#[case("dckr_oat_AbCdEfGhIjKlMnOpQrStUvWxYz0", "AbCdEfGh")]
#[case("dckr_jti_0aB-cD_eF1gH2iJ3=", "0aB-cD")]
#[case("reached your pull rate limit as 'o'brien': dckr_jti_0aB. You", "o'brien")]
#[case("pull rate limit as \"acme-ci\": dckr_jti_0aB. You", "acme-ci")]
#[case("PULL RATE LIMIT as 'acmeci': dckr_jti_0aB. You", "acmeci")]
#[case("pull rate limit as \\\"acmeci\\\": dckr_jti_0aB. You", "acmeci")]
#[case("pull rate limit as \\u0027acmeci\\u0027: dckr_jti_0aB. You", "acmeci")]
#[case("pull rate limit as 'acmeci' (dckr_jti_0aB)", "acmeci")]
#[case("pull rate limit as acmeci: dckr_jti_0aB", "acmeci")]
#[case(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "dozjgNryP4"
)]
#[case("Authorization: Bearer abc123.def456", "abc123")]
#[case("authorization: Basic YWRtaW46aHVudGVyMg==", "YWRtaW46")]
#[case("\"Authorization\": \"Bearer abc123xyz\"", "abc123xyz")]
#[case("-H 'Authorization: token abcdef0123456789'", "abcdef0123456789")]
#[case("Authorization: Digest username=\"acme\", response=\"6629fae49393a05397450978507c4ef1\"", "6629fae4")]
#[case("X-Auth-Token: s3cr3tvalue", "s3cr3tvalue")]
#[case("X-Api-Key: s3cr3tvalue", "s3cr3tvalue")]
#[case("X-Registry-Auth: eyJ1c2VybmFtZSI6ImEifQ==", "c2VybmFtZSI6")]
#[case("Proxy-Authorization: Basic YWRtaW46aHVudGVyMg==", "YWRtaW46")]
#[case("Cookie: session=abcdef; csrf=123", "abcdef")]
#[case("Set-Cookie: sid=s3cr3tvalue; Path=/", "s3cr3tvalue")]
#[case("https://user:hunter2@registry.example.com/v2/", "hunter2")]
#[case("https://user:p@ss@registry.example.com/v2/", "p@ss")]
#[case("https://user:pa/ss@registry.example.com/v2/", "pa/ss")]
#[case("https://oauth2:glpat-abcdef123456@gitlab.example.com/a.git", "abcdef123456")]
#[case("https://x-access-token:ghs_abc123def456@github.com/a/b", "abc123def456")]
#[case("postgres://app:hunter2@db:5432/x", "hunter2")]
#[case("redis://:hunter2@cache:6379", "hunter2")]
#[case("amqp://app:hunter2@mq", "hunter2")]
#[case("mongodb+srv://app:hunter2@c.example.net", "hunter2")]
#[case("docker login -u acmeci -p hunter2 registry", "hunter2")]
#[case("docker login --username acmeci --password hunter2", "hunter2")]
#[case("docker login --username=acmeci --password=hunter2", "acmeci")]
#[case("docker login -uacmeci -phunter2", "hunter2")]
#[case("docker login --password 'hunter 2'", "hunter")]
#[case("curl -u acme:hunter2 https://x", "hunter2")]
#[case("curl --user acme:hunter2 https://x", "hunter2")]
#[case("echo \"hunter2\" | docker login --password-stdin", "hunter2")]
#[case("mysql -u root -phunter2 db", "hunter2")]
#[case("PGPASSWORD=hunter2 psql", "hunter2")]
#[case("export DB_PASS=hunter2", "hunter2")]
#[case("DB_PASSWD=hunter2", "hunter2")]
#[case("MYSQL_PWD=hunter2", "hunter2")]
#[case("DOCKERHUB_PAT=hunter2xyz", "hunter2xyz")]
#[case("NPM_AUTH=hunter2xyz", "hunter2xyz")]
#[case("_auth=YWRtaW46aHVudGVyMg==", "YWRtaW46")]
#[case("//registry.npmjs.org/:_authToken=npm_abc123def456ghi789", "abc123def456")]
#[case("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"YWRtaW46aHVudGVyMg==\"}}}", "YWRtaW46")]
#[case("{\"username\":\"acmeci\",\"password\":\"hunter2\"}", "hunter2")]
#[case("{\"username\":\"acmeci\",\"password\":\"hunter2\"}", "acmeci")]
#[case("{\\\"password\\\":\\\"hunter2\\\"}", "hunter2")]
#[case("{\"identitytoken\":\"hunter2xyz\"}", "hunter2xyz")]
#[case("password: 'hunter2'", "hunter2")]
#[case("Password: hunter2", "hunter2")]
#[case("passphrase=hunter2", "hunter2")]
#[case("client_secret=hunter2", "hunter2")]
#[case("client-secret: hunter2", "hunter2")]
#[case("secret = hunter2", "hunter2")]
#[case("api_key=\"hunter2\"", "hunter2")]
#[case("private_key: MIIEvQIBADANBg", "MIIEvQIBADANBg")]
#[case(
    "-----BEGIN RSA PRIVATE KEY----- MIIEpAIBAAKCAQEA7bq5 abcDEF+/= -----END RSA PRIVATE KEY-----",
    "MIIEpAIBAAKCAQEA7bq5"
)]
#[case("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjE\\n-----END", "b3BlbnNzaC1rZXktdjE")]
#[case("-----BEGIN PRIVATE KEY----- MIIEvQ abcdef", "abcdef")]
#[case(
    "https://s3.amazonaws.com/x?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F2026&X-Amz-Signature=abcdef0123",
    "abcdef0123"
)]
#[case("https://s3.amazonaws.com/x?X-Amz-Security-Token=IQoJb3JpZ2lu&y=1", "IQoJb3JpZ2lu")]
#[case("https://x/y?sig=abc%2Fdef123%3D&se=2026", "def123")]
#[case("https://x/y?access_token=hunter2xyz", "hunter2xyz")]
#[case("https://hooks.slack.com/services/T0/B0/xyz", "xyz")]
#[case(concat!("xo", "xb-123456789012-abcdefABCDEF"), "123456789012")]
#[case("xapp-1-A0B1C2-123-abcdef0123", "A0B1C2")]
#[case("sk-proj-abcdefABCDEF0123456789", "abcdefABCDEF")]
#[case(concat!("sk", "_live_4eC39HqLyjWDarjtT1zdp7dc"), "4eC39HqL")]
#[case("sk-ant-api03-abcDEF123", "abcDEF123")]
#[case(concat!("AI", "zaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"), "9tSrke72")]
#[case("ya29.a0AfH6SMBx-abcdef123", "a0AfH6SMBx")]
#[case(concat!("hv", "s.CAESIJabcdef0123"), "CAESIJabcdef")]
#[case(concat!("py", "pi-AgEIcHlwaS5vcmcabcdef"), "AgEIcHlwaS5")]
#[case(concat!("SG", ".abcdefABCDEF012345.abcdefghijABCDEFGHIJ0123456789"), "abcdefABCDEF")]
#[case(concat!("do", "p_v1_abcdef0123456789abcdef0123456789"), "abcdef0123456789")]
#[case(concat!("ru", "bygems_abcdef0123456789"), "abcdef0123456789")]
#[case("AccountKey=abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCDEF01==", "abcdefABCDEF")]
#[case("npm_abcdefABCDEF0123456789", "abcdefABCDEF")]
#[case("gh\u{1b}[31mp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F")]
#[case("pass\u{1b}[0mword=hunter2", "hunter2")]
#[case("pass\0word=hunter2", "hunter2")]
#[case("tok\u{202e}en=hunter2abc", "hunter2abc")]
#[case("user=acme password=hunter2 host=db", "hunter2")]
#[case("Error: login acmeci:hunter2@docker.io failed", "hunter2")]
fn no_secret_gets_out(#[case] text: &str, #[case] secret: &str) {
    let shown = redact(text);
    assert!(!shown.contains(secret), "{shown}");
    assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown:?}");
    assert_eq!(redact(&shown), shown, "twice");
}

#[rstest]
#[case("apikey hunter2value1 used", "used")]
#[case("sha256:3960ed74dfe320a67bf8da9555b6bade25ebda2b22b6081d2f60fd7d5d430e00", "3960ed74")]
#[case("library/node:20-alpine", "library/node:20-alpine")]
#[case(
    "GET https://index.docker.io/v2/library/node/manifests/20: TOOMANYREQUESTS: You have",
    "GET https://index.docker.io/v2/library/node/manifests/20: TOOMANYREQUESTS: You have"
)]
#[case(
    "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
    "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
)]
#[case("unauthorized: incorrect username or password", "unauthorized: incorrect username or password")]
#[case("failed to fetch oauth token: unexpected status: 429", "failed to fetch oauth token: unexpected status: 429")]
#[case(
    "docker.errors.APIError: 500 Server Error for http+docker://localhost/v1.47/images/create?tag=7&fromImage=redis: Internal Server Error (\"toomanyrequests: x\")",
    "http+docker://localhost/v1.47/images/create?tag=7&fromImage=redis"
)]
#[case("mkdir -p /tmp/build && docker build .", "/tmp/build")]
#[case("docker run -p 8080:80 nginx", "8080")]
#[case("docker run -u root node", "docker run -u")]
fn what_is_no_secret_stays(#[case] text: &str, #[case] part: &str) {
    assert!(redact(text).contains(part), "{}", redact(text));
}
