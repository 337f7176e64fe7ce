"""What stops a start: settings and policies that cannot serve."""

from webhooks.signatures import standard_key_problem
from webhooks.sources import SOURCES, secret_problem
from worker.assemble.crms import channel_problems, half_connected
from worker.settings import ACCOUNTS, ALLOWED, PREFIX, WEBHOOK_SECRET, BadSettings, Settings
from workflows.policy import Policy
from workflows.policy.file import DEFAULT_FILE, BadPolicy, load_policy


def check_web(settings: Settings) -> None:
    """Refuse webhook secrets that cannot serve, and what is set for sources that there are not.

    Raises:
        BadSettings: names each of them, never its value.
    """
    problems = [
        f"{PREFIX}{WEBHOOK_SECRET}{source.upper()}: {problem}"
        for source, secrets in settings.webhook_secrets.items()
        for secret in secrets
        if (problem := secret_problem(source, secret.get_secret_value()))
    ]
    known = {source.name for source in SOURCES}
    named = ((ALLOWED, settings.allowed_addresses), (ACCOUNTS, settings.accounts))
    problems += [
        f"{PREFIX}{prefix}{source.upper()}: there is no such source; there are {', '.join(sorted(known))}"
        for prefix, given in named
        for source in given
        if source not in known
    ]
    if problems:
        raise BadSettings(problems)


def check_worker(settings: Settings) -> None:
    """Refuse to work without a HaloPSA or what the policy needs, and with an alert secret that cannot serve.

    Raises:
        BadSettings: names what is missing or wrong.
    """
    problems = settings.missing_for_work()
    try:
        policy = policy_of(settings)
        if policy.churn_client.rmm == "webhook" and settings.rmm_webhook_url is None:
            problems.append(f'{PREFIX}RMM_WEBHOOK_URL: is not set, but the policy says churn_client.rmm = "webhook"')
    except BadSettings as error:
        problems += error.problems
    problems += half_connected(settings) + channel_problems(settings)
    if settings.alert_secret is not None:
        if settings.alert_url is None:
            problems.append(f"{PREFIX}ALERT_SECRET: {PREFIX}ALERT_URL is not set, so nothing is signed with it")
        if problem := standard_key_problem(settings.alert_secret.get_secret_value()):
            problems.append(f"{PREFIX}ALERT_SECRET: {problem}")
    if problems:
        raise BadSettings(problems)


def policy_of(settings: Settings) -> Policy:
    """Read the business policy.

    Raises:
        BadSettings: names everything that is wrong with its file.
    """
    try:
        return load_policy(settings.config)
    except BadPolicy as error:
        raise BadSettings([f"{settings.config or DEFAULT_FILE}: {problem}" for problem in error.problems]) from None
