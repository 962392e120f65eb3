"""The schema: one table an aggregate, columns in the order of the value's fields. Changed by migrations only."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, text

from licd.ledger import allegation_tables, columns, condition_tables, overlay_tables

metadata = columns.metadata
_text, _text_later = columns.text_column, columns.later_text_column
_long, _later = columns.long_column, columns.later_long_column
_bytes, _flag, _count = columns.bytes_column, columns.flag_column, columns.count_column

authority, overlay = overlay_tables.authority, overlay_tables.overlay
contact, condition = condition_tables.contact, condition_tables.condition
reinstatement_item = condition_tables.reinstatement_item
allegation = allegation_tables.allegation

customer = Table(
    "customer",
    metadata,
    _text("id", primary_key=True),
    _text("name"),
    _flag("banned"),
    _text("ban_reason"),
    _long("created_at"),
    _count("version"),
)

licence = Table(
    "licence",
    metadata,
    _text("id", primary_key=True),
    _text("customer"),
    _text("lineage"),
    _text("status"),
    _long("epoch"),
    _long("version"),
    _bytes("token"),
    _bytes("terms"),
    _long("issued_at"),
    _long("suspended_at"),
    _text("suspension"),
    _text("suspension_code"),
    _text("suspension_detail"),
    _later("expired_at"),
    Index("licence_by_customer", "customer"),
)

licence_turn = Table(
    "licence_turn",
    metadata,
    _text("licence", primary_key=True),
    _long("turn"),
)
"""How often a batch of any replica took a licence: the row it holds while it decides (licd.ledger.sharing)."""

deployment = Table(
    "deployment",
    metadata,
    _text("id", primary_key=True),
    _text("licence"),
    _text("customer"),
    _text("status"),
    _long("invited_at"),
    _bytes("token_hash"),
    _long("token_expires_at"),
    _count("enrolment"),
    _long("enrolled_at"),
    _bytes("system_key"),
    _bytes("channel_key_hash"),
    _bytes("pseudonym_commitment"),
    _text("software"),
    _text("region"),
    _long("epoch_acknowledged"),
    _later("fenced_at"),
    Index("deployment_by_licence", "licence"),
    Index("deployment_by_token", "token_hash"),
)

session = Table(
    "session",
    metadata,
    _text("deployment", primary_key=True),
    _text("licence"),
    _count("enrolment"),
    _text("session"),
    _long("sequence"),
    _bytes("link_hash"),
    _bytes("frame", later=True),
    _bytes("recent"),
    _bytes("reply"),
    _text("reply_kind"),
    _long("reply_epoch"),
    _bytes("replaced_reply"),
    _long("accepted_at"),
    _long("opened_at"),
    _bytes("boot_nonce"),
    _long("renewed_at"),
    _long("length"),
    _long("grace"),
    _long("licence_end"),
    _text_later("continuity"),
    _bytes("continuity_payload", later=True),
    _later("continuity_until"),
    Index("session_by_licence", "licence"),
)

lease = Table(
    "lease",
    metadata,
    _long("id", primary_key=True),
    _text("licence"),
    _text("lineage"),
    _text("deployment"),
    _bytes("target"),
    _text("region"),
    _count("basis"),
    _text("purpose"),
    _text("offence"),
    _text("authorisation"),
    _long("authorisation_end"),
    _long("granted_at"),
    _long("seat_until"),
    _flag("attached"),
    _long("ended_at"),
    _long("free_at"),
    _text("end_reason"),
    _long("barred_until"),
    Index("lease_by_lineage", "lineage", "ended_at"),
    Index("lease_by_deployment", "deployment"),
)

directive = Table(
    "directive",
    metadata,
    _text("licence", primary_key=True),
    _long("epoch", primary_key=True),
    _text("kind"),
    _long("decided_at"),
    _text("reason_code"),
    _text("detail"),
    _text("leases"),
    _text("deployment"),
    _bytes("payload"),
)

acknowledgement = Table(
    "acknowledgement",
    metadata,
    _text("deployment", primary_key=True),
    _long("epoch", primary_key=True),
    _text("licence"),
    _long("acknowledged_at"),
    _long("stopped_at"),
    _count("active_leases"),
    _bytes("envelope"),
)

suspension = Table(
    "suspension",
    metadata,
    _text("id", primary_key=True),
    _long("decided_at"),
    _text("actor"),
    _text("code"),
    _text("detail"),
    _text("scope"),
)

suspension_system = Table(
    "suspension_system",
    metadata,
    _text("suspension", primary_key=True),
    _text("deployment", primary_key=True),
    _text("licence"),
    _long("epoch"),
    _long("bounded_until"),
    _count("live_leases"),
    Index("suspension_system_by_licence", "licence"),
)

fork = Table(
    "fork",
    metadata,
    _text("deployment", primary_key=True),
    _long("seen_at", primary_key=True),
    _bytes("accepted_hash"),
    _bytes("reply"),
    _bytes("frame"),
    Column("enrolment", Integer, nullable=False, server_default=text("0")),
    _bytes("accepted", later=True),
    _text_later("reply_kind"),
)

approval = Table(
    "approval",
    metadata,
    _text("id", primary_key=True),
    _text("status"),
    _text("method"),
    _text("summary"),
    _text("subject"),
    _long("subject_version"),
    _text("requested_by"),
    _long("requested_at"),
    _long("expires_at"),
    _count("needed"),
    _text("signed_by"),
    _bytes("command"),
    _bytes("result"),
    _text("rejected_by"),
    _text("rejection"),
    Index("approval_by_status", "status"),
)

operator = Table(
    "operator",
    metadata,
    _text("id", primary_key=True),
    _text("roles"),
    _bytes("public_key"),
    _text("key_id"),
    _bytes("channel_key_hash"),
    _flag("enabled"),
    _long("created_at"),
    _count("version"),
)

answered = Table(
    "answered",
    metadata,
    _text("caller", primary_key=True),
    _text("request_id", primary_key=True),
    _bytes("fingerprint"),
    _text("kind"),
    _bytes("answer"),
    _long("expires_at"),
    Index("answered_by_expiry", "expires_at"),
)

denial_tally = Table(
    "denial_tally",
    metadata,
    _text("deployment", primary_key=True),
    _text("reason", primary_key=True),
    _text("licence"),
    _long("minute"),
    _long("told"),
    _long("counted"),
)

log_entry = Table(
    "log_entry",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    _long("at"),
    _text("kind"),
    _text("licence"),
    _bytes("leaf_hash"),
    _bytes("body"),
    Index("log_entry_by_licence", "licence", "index"),
    Index("log_entry_by_kind", "kind", "index"),
)

log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _long("size"),
    _bytes("frontier"),
    _bytes("checkpoint"),
    _long("at"),
    _long("clock_mark"),
)

clock_anchor = Table(
    "clock_anchor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _long("known"),
    _text("boot_id"),
    _long("boot"),
    _long("offset"),
    _text("doubt"),
    _later("unvouched"),
)

log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    _long("at"),
    _bytes("note"),
)

trust_bundle = Table(
    "trust_bundle",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    _bytes("envelope"),
)

indicators = Table(
    "indicators",
    metadata,
    _text("id", primary_key=True),
    _text("source"),
    _long("year"),
    _bytes("file_sha256"),
    _long("imported_at"),
    _text("imported_by"),
    _bytes("body"),
    Index("indicators_by_source", "source", "year"),
)

assessment = Table(
    "assessment",
    metadata,
    _text("id", primary_key=True),
    _text("customer"),
    _text("product"),
    _text("country"),
    _text("category"),
    _text("judged"),
    _long("term"),
    _text("policy_version"),
    _long("assessed_at"),
    _text("assessed_by"),
    _long("review_due"),
    _bytes("facts"),
    _bytes("judgement"),
    _text("overridden_by"),
    _long("overridden_at"),
    _text("override_reason"),
    _text("superseded_by"),
    Index("assessment_by_customer", "customer", "product"),
)

checklist_item = Table(
    "checklist_item",
    metadata,
    _text("assessment", primary_key=True),
    _text("item", primary_key=True),
    _text("accepts"),
    _text("state"),
    _text("evidence"),
    _text("note"),
    _text("actor"),
    _long("decided_at"),
)

review = Table(
    "review",
    metadata,
    _text("id", primary_key=True),
    _text("licence"),
    _text("customer"),
    _text("assessment"),
    _text("cause"),
    _text("detail"),
    _long("opened_at"),
    _long("due_at"),
    _long("closed_at"),
    _text("closed_by"),
    Index("review_by_licence", "licence", "closed_at"),
)
