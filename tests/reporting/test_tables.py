from trfjax.reporting.tables import markdown


def test_a_table_is_markdown():
    text = markdown(["name", "value"], [["a", 0.12345], ["b", 7]])
    assert text == "| name | value |\n| --- | --- |\n| a | 0.123 |\n| b | 7 |"
