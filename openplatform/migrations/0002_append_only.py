"""What must never change is held by the database: attempts, the facts of an event, and the identity of a key."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION openplatform_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER notification_attempt_append_only
    BEFORE UPDATE OR DELETE ON openplatform_notificationattempt
    FOR EACH ROW EXECUTE FUNCTION openplatform_refuse_change('attempts are append-only');

CREATE TRIGGER notification_facts_fixed
    BEFORE UPDATE ON openplatform_notification FOR EACH ROW
    WHEN ((OLD.id, OLD.app_id, OLD.event_type, OLD.object_no, OLD.object_version, OLD.data, OLD.created_at)
        IS DISTINCT FROM
        (NEW.id, NEW.app_id, NEW.event_type, NEW.object_no, NEW.object_version, NEW.data, NEW.created_at))
    EXECUTE FUNCTION openplatform_refuse_change('the facts of an event do not change');

CREATE TRIGGER notification_kept
    BEFORE DELETE ON openplatform_notification
    FOR EACH ROW EXECUTE FUNCTION openplatform_refuse_change('notifications are kept');

CREATE TRIGGER app_key_identity_fixed
    BEFORE UPDATE ON openplatform_appkey FOR EACH ROW
    WHEN ((OLD.serial_no, OLD.app_id, OLD.algorithm, OLD.public_key_pem, OLD.fingerprint, OLD.created_at)
        IS DISTINCT FROM
        (NEW.serial_no, NEW.app_id, NEW.algorithm, NEW.public_key_pem, NEW.fingerprint, NEW.created_at)
        OR (OLD.status = 'revoked' AND NEW.status <> 'revoked'))
    EXECUTE FUNCTION openplatform_refuse_change('a key does not change, and a revoked one stays revoked');

CREATE TRIGGER app_key_kept
    BEFORE DELETE ON openplatform_appkey
    FOR EACH ROW EXECUTE FUNCTION openplatform_refuse_change('a fingerprint is unique for ever');
"""

BACKWARD = """
DROP TRIGGER app_key_kept ON openplatform_appkey;
DROP TRIGGER app_key_identity_fixed ON openplatform_appkey;
DROP TRIGGER notification_kept ON openplatform_notification;
DROP TRIGGER notification_facts_fixed ON openplatform_notification;
DROP TRIGGER notification_attempt_append_only ON openplatform_notificationattempt;
DROP FUNCTION openplatform_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("openplatform", "0001_rows")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
